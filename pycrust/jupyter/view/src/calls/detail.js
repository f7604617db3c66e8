// Everything about one call: what came, what went, where the time went, and what can be done with it.
import { element, write, attribute } from "../base/dom.js";
import { clock } from "../parts/events.js";
import { digits, latency } from "../base/format.js";
import { STAGES } from "../base/stages.js";

/** A section with a heading, hidden while it has nothing to say. */
class Part {
  /** @param {string} title */
  constructor(title) {
    this.body = element("div", { class: "pycrust-part-body" });
    this.root = element("section", { class: "pycrust-detail-part", hidden: "" }, element("h4", { class: "pycrust-title" }, title), this.body);
  }

  /** @param {(Node | string)[]} nodes */
  fill(...nodes) {
    this.root.hidden = nodes.length === 0;
    this.body.replaceChildren(...nodes);
  }
}

/** The panel beside the list. */
export class CallDetail {
  /**
   * @param {string} id
   * @param {(kind: string, more: Record<string, unknown>) => void} ask
   */
  constructor(id, ask) {
    this.ask = ask;
    this.key = "";
    const button = (/** @type {string} */ text, /** @type {string} */ kind, /** @type {string} */ testid) => {
      const made = /** @type {HTMLButtonElement} */ (element("button", { class: "pycrust-button", type: "button", "data-testid": testid }, text));
      made.addEventListener("click", () => this.act(kind));
      return made;
    };
    this.title = element("strong", { class: "pycrust-detail-title" });
    this.facts = element("p", { class: "pycrust-detail-facts" });
    this.version = /** @type {HTMLSelectElement} */ (element("select", { class: "pycrust-select", "aria-label": "Replay on", "data-testid": "replay-on" }));
    this.names = element("datalist", { id: `${id}-functions` });
    this.candidate = /** @type {HTMLInputElement} */ (element("input", {
      class: "pycrust-filter pycrust-candidate", type: "text", list: `${id}-functions`, "aria-label": "Name of the function", "data-testid": "replay-function",
      placeholder: "name of a function", spellcheck: "false", autocomplete: "off", maxlength: "200", hidden: "",
    }));
    this.version.addEventListener("change", () => {
      this.offer();
      if (!this.candidate.hidden) this.candidate.focus();
    });
    this.candidate.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.act("replay");
    });
    this.replay = button("Replay", "replay", "replay");
    this.copy = button("Copy as test", "test", "copy-test");
    this.interrupt = button("Interrupt", "interrupt", "interrupt");
    this.said = element("p", { class: "pycrust-said", role: "status" });
    this.code = element("pre", { class: "pycrust-pre", tabindex: "0", "aria-label": "The test, to copy", hidden: "" });
    this.outcomePart = new Part("Replay");
    this.error = new Part("Error");
    this.traceback = new Part("Traceback");
    this.arguments = new Part("Arguments");
    this.result = new Part("Result");
    this.output = new Part("Printed by the handler");
    this.stages = new Part("Where the time went");
    this.metadata = new Part("Metadata");
    this.hint = element("p", { class: "pycrust-empty" }, "Choose a call to see its arguments, its answer and where its time went.");
    this.content = element(
      "div",
      { class: "pycrust-detail-content", hidden: "" },
      this.title,
      this.facts,
      element("div", { class: "pycrust-actions", role: "group", "aria-label": "What to do with this call" }, this.replay, this.version, this.candidate, this.names, this.copy, this.interrupt),
      this.said,
      this.code,
      ...[this.outcomePart, this.error, this.arguments, this.result, this.traceback, this.output, this.stages, this.metadata].map((part) => part.root),
    );
    this.root = element("div", { class: "pycrust-detail", role: "region", tabindex: "0", "aria-label": "The chosen call, scrolls", "data-testid": "call-detail" }, this.hint, this.content);
  }

  /** @param {string} key */
  waits(key) {
    this.key = key;
    attribute(this.root, "data-chosen", "true");
    this.root.scrollTop = 0;
    this.hint.hidden = false;
    this.content.hidden = true;
    write(this.hint, "Waiting for the call…");
  }

  /** @param {string} kind */
  act(kind) {
    write(this.said, kind === "replay" ? "Replaying…" : kind === "test" ? "Writing the test…" : "Interrupting…");
    this.ask(kind, { call: this.key, on: this.version.value, function: this.candidate.value.trim() });
  }

  /** Shows the field for a function's name where one is asked for. */
  offer() {
    this.candidate.hidden = this.version.hidden || this.version.value !== "function";
  }

  /**
   * @param {any} message
   * @param {DataView[]} buffers
   */
  show(message, buffers) {
    const { call } = message;
    if (!call) {
      this.content.hidden = true;
      this.hint.hidden = false;
      write(this.hint, String(message.gone ?? "This call is no longer kept."));
      return;
    }
    this.hint.hidden = true;
    this.content.hidden = false;
    const running = call.status === "RUNNING";
    const version = call.version ? ` v${call.version}` : "";
    const trip = call.round_trip_ns === null ? `${latency(call.duration_ns)} in the worker` : latency(call.round_trip_ns);
    write(this.title, `${call.method}${version} · ${call.status} · ${running ? "running" : trip}`);
    attribute(this.title, "data-bad", call.status === "OK" || running ? null : "true");
    write(this.facts, [...(running ? [] : [`call ${call.seq}`]), `${call.client} (pid ${call.client_pid})`, running ? `for ${latency(call.duration_ns)}` : `ended ${clock(call.ended_ms / 1000)}`, ...(call.kinds ?? []), ...(call.deadline_s ? [`deadline ${digits(Number(call.deadline_s))} s`] : [])].join(" · "));
    const versions = Array.isArray(call.targets) ? call.targets : [["live", "the live version"]];
    const before = this.version.value;
    this.version.replaceChildren(...versions.map((/** @type {string[]} */ [value, text]) => element("option", { value }, text)));
    // Whoever tries a function on one call tries it on the next one, too.
    if (before === "function" && versions.some((/** @type {string[]} */ [value]) => value === before)) this.version.value = before;
    this.version.hidden = running;
    const names = Array.isArray(call.functions) ? call.functions : [];
    this.names.replaceChildren(...names.map((/** @type {unknown} */ name) => element("option", { value: String(name) })));
    this.offer();
    this.replay.disabled = running;
    this.copy.disabled = running;
    this.interrupt.disabled = !running;
    attribute(this.interrupt, "title", running ? "Raises KeyboardInterrupt in the handler" : "Only a call that runs can be interrupted");
    write(this.said, "");
    this.code.hidden = true;
    this.outcomePart.fill();
    this.error.fill(...failure(call.error));
    this.traceback.fill(...text(call.error?.traceback, "Traceback"));
    let used = 0;
    const pictures = (/** @type {any} */ value) => {
      const from = used;
      used += value?.pictures?.length ?? 0;
      return lines(value, buffers.slice(from, used));
    };
    this.arguments.fill(...pictures(call.arguments));
    this.result.fill(...pictures(call.error ? null : call.result));
    this.output.fill(...text(call.output, "What the handler printed"));
    this.stages.fill(...waterfall(call.stages_ns));
    this.metadata.fill(...lines(call.metadata, []));
  }

  /** @param {any} message */
  outcome(message) {
    write(this.said, String(message.said ?? ""));
    if (message.kind === "test" && typeof message.code === "string") {
      this.code.textContent = message.code;
      this.code.hidden = false;
      navigator.clipboard?.writeText(message.code).then(
        () => write(this.said, "Copied as a test."),
        () => write(this.said, "The browser does not let this page copy: copy the text below."),
      );
    }
    if (message.kind === "replayed") this.outcomePart.fill(...diff(message));
  }
}

/** @param {any} message */
function diff(message) {
  const rows = Array.isArray(message.diff) ? message.diff : [];
  const list = element("ol", { class: "pycrust-diff", "data-testid": "replay-diff" });
  for (const [sign, line] of rows) {
    const what = sign === "+" ? "now" : sign === "-" ? "recorded" : "";
    list.append(element("li", { "data-sign": String(sign) }, element("span", { class: "pycrust-sign" }, what), String(line)));
  }
  return [list];
}

/** @param {any} error */
function failure(error) {
  if (!error) return [];
  const nodes = [element("p", { class: "pycrust-error" }, `${error.type ? `${error.type}: ` : ""}${error.message}`)];
  if (Array.isArray(error.details) && error.details.length > 0 && error.details.every((/** @type {any} */ each) => each?.msg)) {
    const list = element("ul", { class: "pycrust-invalid" });
    for (const each of error.details) {
      list.append(element("li", {}, element("code", {}, [each.loc].flat().join(".") || "arguments"), ` ${each.msg}`, each.input === undefined ? "" : `, got ${JSON.stringify(each.input)}`));
    }
    nodes.push(list);
  }
  return nodes;
}

/**
 * @param {unknown} value
 * @param {string} label
 */
function text(value, label) {
  if (typeof value !== "string" || value === "") return [];
  return [element("pre", { class: "pycrust-pre", tabindex: "0", "aria-label": label }, value)];
}

/**
 * @param {any} value lines with their depth, key, text and picture
 * @param {DataView[]} buffers
 */
function lines(value, buffers) {
  if (!Array.isArray(value?.rows) || value.rows.length === 0) return [];
  const list = element("ul", { class: "pycrust-lines" });
  for (const [depth, key, text, picture] of value.rows) {
    const row = element("li", {}, ...(key ? [element("code", { class: "pycrust-key-name" }, `${key}:`), " "] : []), element("span", {}, String(text)));
    row.style.paddingLeft = `${Number(depth) * 16}px`;
    if (picture !== undefined) row.append(thumbnail(value.pictures[picture], buffers[picture], String(text)));
    list.append(row);
  }
  return [list];
}

/**
 * @param {{width: number, height: number, channels: number}} picture
 * @param {DataView | undefined} data
 * @param {string} label
 */
function thumbnail({ width, height, channels }, data, label) {
  const canvas = /** @type {HTMLCanvasElement} */ (element("canvas", { class: "pycrust-thumbnail", role: "img", "aria-label": `Picture of ${label}`, width: String(width), height: String(height) }));
  const context = canvas.getContext("2d");
  if (context && data && data.byteLength === width * height * channels) {
    const image = context.createImageData(width, height);
    for (let at = 0; at < width * height; at += 1) {
      for (let channel = 0; channel < 3; channel += 1) image.data[at * 4 + channel] = data.getUint8(at * channels + (channels === 1 ? 0 : channel));
      image.data[at * 4 + 3] = channels === 4 ? data.getUint8(at * 4 + 3) : 255;
    }
    context.putImageData(image, 0, 0);
  }
  return canvas;
}

/** @param {Record<string, number> | undefined} stages nanoseconds */
function waterfall(stages) {
  const known = STAGES.map(({ key, what }) => ({ key, what, ns: Number(stages?.[key]) || 0 }));
  const whole = known.reduce((sum, { ns }) => sum + ns, 0);
  if (whole === 0) return [];
  const list = element("ul", { class: "pycrust-waterfall" });
  let before = 0;
  for (const { key, what, ns } of known) {
    const bar = element("span", { class: "pycrust-part", "data-stage": key });
    // The shortest stage is 2 px wide, also at the end of the track.
    bar.style.marginLeft = `min(${((before / whole) * 100).toFixed(2)}%, 100% - 2px)`;
    bar.style.width = `${((ns / whole) * 100).toFixed(2)}%`;
    before += ns;
    list.append(element("li", { title: what }, element("span", { class: "pycrust-stage-name" }, key), element("span", { class: "pycrust-track", "aria-hidden": "true" }, bar), element("span", { class: "pycrust-stage-time" }, latency(ns))));
  }
  return [list];
}
