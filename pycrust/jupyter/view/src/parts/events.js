// The event log: what happened, the newest first.
import { element, write, attribute } from "../base/dom.js";

/** What each kind of event is called: words beside the colour. */
const KINDS = /** @type {Record<string, string>} */ ({
  swap: "swap", method: "method", client: "client", error: "error", held: "held", refused: "refused", model: "model", serving: "serving",
});

const two = (/** @type {number} */ part) => String(part).padStart(2, "0");

/** @param {number} seconds since 1970 */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** A list that scrolls by itself; what a reader has scrolled to stays. */
export class EventLog {
  constructor() {
    this.list = element("ol", { class: "pycrust-events-list" });
    this.none = element("p", { class: "pycrust-empty" }, "Nothing yet: swaps, refused cells, clients and errors appear here.");
    this.scroll = element(
      "div",
      { class: "pycrust-events-scroll", role: "region", tabindex: "0", "aria-label": "Events, the newest first, scrolls" },
      this.list,
      this.none,
    );
    this.root = element(
      "section",
      { class: "pycrust-events", "data-testid": "event-log", "aria-label": "Event log" },
      element("h3", { class: "pycrust-title" }, "Events"),
      this.scroll,
    );
    /** @type {Map<number, {root: HTMLElement, time: HTMLElement, text: HTMLElement}>} */
    this.lines = new Map();
  }

  /** @param {import("../base/history.js").History} history */
  draw(history) {
    const wanted = [...history.events.values()].sort((a, b) => b.at - a.at || b.number - a.number);
    for (const [number, line] of this.lines) {
      if (history.events.has(number)) continue;
      line.root.remove();
      this.lines.delete(number);
    }
    const top = this.scroll.scrollTop;
    const height = this.scroll.scrollHeight;
    wanted.forEach((event, at) => {
      let line = this.lines.get(event.number);
      if (!line) {
        const time = element("time", { class: "pycrust-event-time" });
        const kind = element("span", { class: "pycrust-event-kind" }, KINDS[event.kind] ?? "event");
        const text = element("span", { class: "pycrust-event-text" });
        line = { root: element("li", { class: "pycrust-event", "data-kind": event.kind }, time, kind, text), time, text };
        this.lines.set(event.number, line);
      }
      write(line.time, clock(event.at));
      write(line.text, event.text);
      attribute(line.text, "title", event.text);
      if (this.list.children[at] !== line.root) this.list.insertBefore(line.root, this.list.children[at] ?? null);
    });
    this.none.hidden = wanted.length > 0;
    // New lines come in above what is read.
    if (top > 0) this.scroll.scrollTop = top + this.scroll.scrollHeight - height;
  }
}
