// The inspector: the last calls with their filter, and everything about the one that is chosen.
import { element, write, attribute } from "../base/dom.js";
import { CallDetail } from "./detail.js";
import { CallList } from "./calls.js";
import { Recording } from "./recording.js";

/** Keystrokes this close together are one filter. */
const TYPING_MS = 250;
/** After this long without an answer the view says why it waits. */
const PATIENCE_MS = 1500;

/** The section below the methods. */
export class Inspector {
  /** @param {(message: Record<string, unknown>) => void} say sends a message to the kernel */
  constructor(say) {
    this.say = say;
    this.paused = false;
    this.pausedAt = 0;
    this.typing = 0;
    this.waiting = 0;
    /** @type {string | null} The chosen call. */
    this.chosen = null;

    const id = `pycrust-${Math.random().toString(36).slice(2)}`;
    this.filter = /** @type {HTMLInputElement} */ (element("input", {
      class: "pycrust-filter", type: "text", id: `${id}-filter`, "data-testid": "traffic-filter", spellcheck: "false", autocomplete: "off", maxlength: "1000",
      placeholder: "add status:error >5ms version:3", "aria-describedby": `${id}-wrong`,
    }));
    this.wrong = element("p", { class: "pycrust-wrong", id: `${id}-wrong`, role: "status" });
    this.pause = /** @type {HTMLButtonElement} */ (element("button", { class: "pycrust-button", type: "button", "aria-pressed": "false", "data-testid": "traffic-pause" }, "Pause"));
    this.count = element("span", { class: "pycrust-count" });
    this.late = element("p", { class: "pycrust-late", role: "status" });
    this.list = new CallList(id, (key) => this.choose(key));
    this.detail = new CallDetail(id, (kind, more) => this.ask(kind, more));
    this.recording = new Recording(id, (settings) => this.ask("record", { settings }));
    this.root = element(
      "section",
      { class: "pycrust-inspector", "aria-label": "Traffic inspector" },
      element(
        "div",
        { class: "pycrust-bar-tools" },
        element("h3", { class: "pycrust-title" }, "Traffic"),
        element("label", { class: "pycrust-hidden", for: `${id}-filter` }, "Filter calls"),
        this.filter,
        this.pause,
        this.recording.button,
        this.count,
      ),
      this.recording.root,
      this.wrong,
      this.late,
      element("div", { class: "pycrust-calls-and-detail" }, this.list.root, this.detail.root),
    );
    // A notebook takes single keys as commands.
    this.root.addEventListener("keydown", (event) => event.stopPropagation());
    this.root.dataset.lmSuppressShortcuts = "true";
    this.filter.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.watch(), TYPING_MS);
    });
    this.filter.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.watch();
      else if (event.key === "ArrowDown") this.list.focus();
      else if (event.key === "Escape" && this.filter.value !== "") {
        this.filter.value = "";
        this.watch();
      } else return;
      event.preventDefault();
    });
    this.pause.addEventListener("click", () => {
      this.paused = !this.paused;
      attribute(this.pause, "aria-pressed", String(this.paused));
      write(this.pause, this.paused ? "Resume" : "Pause");
      this.watch();
    });
  }

  /** Tells the kernel which calls to send from now on. */
  watch() {
    clearTimeout(this.typing);
    this.say({ kind: "watch", filter: this.filter.value, paused: this.paused });
  }

  /** @param {string} key */
  choose(key) {
    if (key === this.chosen) return;
    this.chosen = key;
    this.list.select(key);
    this.detail.waits(key);
    this.ask("call", { call: key });
  }

  /**
   * @param {string} kind
   * @param {Record<string, unknown>} more
   */
  ask(kind, more) {
    this.say({ kind, ...more });
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      write(this.late, "The kernel has not answered yet. A front end without subshells sends clicks behind the running cell: they are answered when it ends.");
    }, PATIENCE_MS);
  }

  answered() {
    clearTimeout(this.waiting);
    write(this.late, "");
  }

  /**
   * Takes a message in; whether it was for the inspector.
   * @param {any} message
   * @param {DataView[]} buffers
   */
  take(message, buffers) {
    switch (message?.kind) {
      case "calls":
        this.calls(message);
        return true;
      case "call":
        this.answered();
        if (message.of === this.chosen) this.detail.show(message, buffers);
        return true;
      case "recording":
        this.answered();
        this.recording.answer(message);
        return true;
      case "replayed":
      case "test":
      case "interrupted":
      case "failed":
        this.answered();
        if (message.of === this.chosen) this.detail.outcome(message);
        return true;
      default:
        return false;
    }
  }

  /** @param {any} message */
  calls(message) {
    const { wrong } = message;
    attribute(this.filter, "aria-invalid", wrong ? "true" : null);
    if (wrong) {
      const text = String(wrong.filter ?? "");
      const from = Number(wrong.position) || 0;
      const to = from + (Number(wrong.length) || 1);
      this.wrong.replaceChildren(
        `${String(wrong.reason)}: `,
        element("code", {}, text.slice(0, from), element("mark", {}, text.slice(from, to) || "\u00a0"), text.slice(to)),
      );
      return;
    }
    write(this.wrong, "");
    if (this.paused && message.paused !== true) return;
    write(this.count, String(message.summary ?? ""));
    this.list.draw(Array.isArray(message.rows) ? message.rows : [], String(message.nothing ?? ""));
  }
}
