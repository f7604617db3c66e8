// Six numbers that answer "is it well?" at a glance.
import { element, write, attribute } from "../base/dom.js";
import { LATENCY, NOTHING, RATE, compact, measured, single } from "../base/format.js";

const TILES = [
  { key: "calls", label: "calls/s", title: "Calls answered a second, over the last second, all methods" },
  { key: "p50", label: "p50", title: "Round trip: half of the calls of the last 5 to 10 s came back faster, as the clients measured it" },
  { key: "p99", label: "p99", title: "Round trip: 99 of 100 calls of the last 5 to 10 s came back faster, as the clients measured it" },
  { key: "errors", label: "errors", title: "Calls that ended in an error since the worker began" },
  { key: "inflight", label: "in flight", title: "Calls received and not yet answered" },
  { key: "wait", label: "interpreter wait", title: "99 of 100 calls of the last 5 to 10 s waited less for the interpreter, which a busy cell holds" },
];

/** The row of tiles. */
export class Tiles {
  constructor() {
    /** @type {Map<string, {root: HTMLElement, value: HTMLElement, unit: HTMLElement, in: any}>} */
    this.tiles = new Map();
    this.root = element("div", { class: "pycrust-tiles", role: "list", "aria-label": "All methods together" });
    for (const { key, label, title } of TILES) {
      const value = element("span", { class: "pycrust-number" }, NOTHING);
      const unit = element("span", { class: "pycrust-unit" });
      const number = element("div", { class: "pycrust-tile-value", "data-testid": `tile-${key}` }, value, unit);
      const name = element("div", { class: "pycrust-tile-name" }, label);
      const root = element("div", { class: "pycrust-tile", role: "listitem", title }, name, number);
      this.tiles.set(key, { root: number, value, unit, in: null });
      this.root.append(root);
    }
  }

  /**
   * @param {string} key
   * @param {number | null} value
   * @param {string} text
   * @param {string} unit
   */
  put(key, value, text, unit) {
    const tile = this.tiles.get(key);
    if (!tile) return;
    write(tile.value, text);
    write(tile.unit, unit);
    attribute(tile.root, "data-value", value === null ? null : String(value));
  }

  /**
   * @param {import("../base/state.js").Endpoint} endpoint
   * @param {import("../base/history.js").History} history
   */
  draw(endpoint, history) {
    const last = history.shown[history.shown.length - 1];
    const known = (/** @type {number} */ time) => (time > 0 ? time : null);
    for (const [key, value, units] of /** @type {const} */ ([
      ["calls", endpoint.serving ? measured(last?.rate) : null, RATE],
      ["p50", known(endpoint.trip[0]), LATENCY],
      ["p99", known(endpoint.trip[1]), LATENCY],
      ["wait", known(endpoint.wait[1]), LATENCY],
    ])) {
      const tile = this.tiles.get(key);
      if (!tile) continue;
      const { text, unit } = single(value, units, tile.in);
      tile.in = unit;
      this.put(key, value, text, value === null ? "" : key === "wait" ? `${unit.name} p99` : unit.name);
    }
    const errors = endpoint.methods.reduce((sum, method) => sum + method.errors, endpoint.unknown);
    const inFlight = endpoint.methods.reduce((sum, method) => sum + method.inFlight, 0);
    this.put("errors", errors, compact(errors), "");
    this.put("inflight", inFlight, compact(inFlight), "");
    attribute(/** @type {any} */ (this.tiles.get("errors")).root, "data-bad", endpoint.recent[1] > 0 ? "true" : null);
  }
}
