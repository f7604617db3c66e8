// What the page remembers of an endpoint. The kernel keeps the same minute: a page that is opened again gets it back.
import { Rates } from "./rates.js";

/** Seconds of history that the charts show. */
export const SHOWN_S = 60;
/** Lines of the event log. */
export const LINES = 100;
/** Points further apart than this are not joined, seconds. */
const GAP_S = 2;
/** Changes this close together are one mark, seconds. */
const TOGETHER_S = 0.3;

/** Points of the charts, lines of the log, marks of changes, and what each method did lately. */
export class History {
  rates = new Rates();
  /** @type {import("./state.js").Point[]} */
  shown = [];
  /** @type {Map<number, import("./state.js").Event>} In order of their numbers. */
  events = new Map();
  /** @type {{at: number, label: string}[]} */
  marks = [];
  /** @type {string} What another worker counted can't be compared. */
  life = "";

  /**
   * Takes one message in.
   * @param {import("./state.js").Endpoint} endpoint
   * @param {import("./state.js").Point[]} points
   * @param {import("./state.js").Event[]} events
   */
  add(endpoint, points = [], events = []) {
    const at = endpoint.at;
    const life = `${endpoint.endpoint} ${endpoint.pid}`;
    if (life !== this.life) {
      this.life = life;
      this.rates.clear();
      this.shown = [];
      this.events.clear();
    }
    this.rates.add(endpoint);

    for (const point of points) {
      const newest = this.shown[this.shown.length - 1];
      if (newest !== undefined && point.at <= newest.at) continue;
      // Nobody looked meanwhile: the lines break there.
      if (newest !== undefined && point.at - newest.at > GAP_S) {
        this.shown.push({ at: newest.at + 0.001, rate: null, errors: null, p50: null, p99: null });
      }
      this.shown.push(point);
    }
    while (this.shown.length > 0 && this.shown[0].at < at - SHOWN_S - 1) this.shown.shift();

    for (const event of events) this.events.set(event.number, event);
    if (this.events.size > LINES) {
      for (const number of [...this.events.keys()].sort((a, b) => a - b).slice(0, this.events.size - LINES)) {
        this.events.delete(number);
      }
    }
    this.mark(at);
  }

  /** @param {number} now */
  mark(now) {
    /** @type {{at: number, names: string[]}[]} */
    const groups = [];
    for (const event of [...this.events.values()].sort((a, b) => a.at - b.at)) {
      if (event.marks.length === 0 || event.at < now - SHOWN_S) continue;
      const group = groups[groups.length - 1];
      if (group !== undefined && event.at - group.at < TOGETHER_S) group.names.push(...event.marks);
      else groups.push({ at: event.at, names: [...event.marks] });
    }
    this.marks = groups.map(({ at, names }) => ({
      at,
      label: names.length > 3 ? [...names.slice(0, 2), `${names.length - 2} more`].join(", ") : names.join(", "),
    }));
  }
}
