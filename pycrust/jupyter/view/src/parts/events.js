// What happened, the newest first: what was changed in one list, what befell it in the other.
import { attribute, element, write } from "../base/dom.js";
import { count } from "../base/format.js";

/** What each kind of event is called: words beside the colour. */
const KINDS = /** @type {Record<string, string>} */ ({
  swap: "swap", method: "method", client: "client", error: "error", held: "held", refused: "refused", model: "model", serving: "serving",
});
/** Kinds of event that somebody at the notebook has made. */
const CHANGES = new Set(["swap", "method", "refused", "model"]);
/** Kinds of the others that are bad. */
const BAD = new Set(["error", "held"]);

const two = (/** @type {number} */ part) => String(part).padStart(2, "0");

/** @param {number} seconds since 1970 */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** One event; what it stands for can be read one by one. */
class Line {
  /** @param {import("../base/state.js").Event} event */
  constructor(event) {
    this.time = element("time", { class: "pycrust-event-time" });
    this.text = element("span", { class: "pycrust-event-text" });
    const kind = element("span", { class: "pycrust-event-kind" }, KINDS[event.kind] ?? "event");
    this.said = element("div", { class: "pycrust-event-said" }, this.time, kind, this.text);
    this.root = element("li", { class: "pycrust-event", "data-kind": event.kind }, this.said);
    /** @type {HTMLElement | null} */
    this.parts = null;
    /** What was drawn last: events don't change but by being said again. */
    this.drawn = /** @type {import("../base/state.js").Event | null} */ (null);
  }

  /** @param {import("../base/state.js").Event} event */
  draw(event) {
    if (event === this.drawn) return;
    this.drawn = event;
    write(this.time, clock(event.at));
    write(this.text, event.text);
    attribute(this.text, "title", event.text);
    if (event.parts.length === 0) return;
    if (this.parts === null) {
      this.parts = element("ol", { class: "pycrust-event-parts" });
      const head = element("summary", {});
      head.append(this.said);
      this.root.append(element("details", {}, head, this.parts));
    }
    this.parts.replaceChildren(...[...event.parts].reverse().map(({ at, text }) =>
      element("li", {}, element("time", { class: "pycrust-event-time" }, clock(at)), ` ${text}`)));
  }
}

/** A list that scrolls by itself; what a reader has scrolled to stays. */
class List {
  /**
   * @param {string} title
   * @param {string} none what stands where nothing is
   * @param {Node[]} tools
   */
  constructor(title, none, ...tools) {
    this.list = element("ol", { class: "pycrust-events-list" });
    this.none = element("p", { class: "pycrust-empty" }, none);
    this.scroll = element(
      "div",
      { class: "pycrust-events-scroll", role: "region", tabindex: "0", "aria-label": `${title}, the newest first, scrolls` },
      this.list,
      this.none,
    );
    const head = element("div", { class: "pycrust-log-head" }, element("h3", { class: "pycrust-title" }, title), ...tools);
    this.root = element("div", { class: "pycrust-log" }, head, this.scroll);
    /** @type {Map<number, Line>} */
    this.lines = new Map();
  }

  /** @param {import("../base/state.js").Event[]} wanted in order */
  draw(wanted) {
    const numbers = new Set(wanted.map(({ number }) => number));
    for (const [number, line] of this.lines) {
      if (numbers.has(number)) continue;
      line.root.remove();
      this.lines.delete(number);
    }
    const top = this.scroll.scrollTop;
    const height = this.scroll.scrollHeight;
    wanted.forEach((event, at) => {
      let line = this.lines.get(event.number);
      if (!line) {
        line = new Line(event);
        this.lines.set(event.number, line);
      }
      line.draw(event);
      if (this.list.children[at] !== line.root) this.list.insertBefore(line.root, this.list.children[at] ?? null);
    });
    this.none.hidden = wanted.length > 0;
    // New lines come in above what is read.
    if (top > 0) this.scroll.scrollTop = top + this.scroll.scrollHeight - height;
  }
}

/** Both lists. */
export class EventLog {
  constructor() {
    this.bad = element("button", { type: "button", class: "pycrust-button", "aria-pressed": "false", "data-testid": "only-problems" }, "only problems");
    this.bad.addEventListener("click", () => {
      attribute(this.bad, "aria-pressed", this.only ? "false" : "true");
      if (this.history) this.draw(this.history);
    });
    this.changes = new List("Changes", "Nothing yet: swaps, models and refused cells appear here.");
    this.events = new List("Events", "Nothing yet: clients and errors appear here.", this.bad);
    this.root = element(
      "section",
      { class: "pycrust-events", "data-testid": "event-log", "aria-label": "Event log" },
      element("div", { class: "pycrust-logs" }, this.changes.root, this.events.root),
    );
    /** @type {import("../base/history.js").History | null} */
    this.history = null;
  }

  /** Whether only what is bad is shown. */
  get only() {
    return this.bad.getAttribute("aria-pressed") === "true";
  }

  /** @param {import("../base/history.js").History} history */
  draw(history) {
    this.history = history;
    const wanted = [...history.events.values()].sort((a, b) => b.at - a.at || b.number - a.number);
    const events = wanted.filter(({ kind }) => !CHANGES.has(kind));
    const bad = events.filter(({ kind }) => BAD.has(kind));
    this.changes.draw(wanted.filter(({ kind }) => CHANGES.has(kind)));
    this.events.draw(this.only ? bad : events);
    write(this.bad, bad.length === 0 ? "only problems" : `only problems (${count(bad.length)})`);
  }
}
