// The table of methods: what hurts on top, and of any number of lines only those in sight are there.
import { attribute, element, write } from "../base/dom.js";
import { LATENCY, RATE, count, measured, unitFor } from "../base/format.js";
import { STAGES } from "../base/stages.js";
import { lines } from "./order.js";
import { Row } from "./row.js";

/** A line's height, pixels; `live.css` has it too. */
const LINE = 28;
/** Lines above and below those in sight. */
const MORE = 4;
/** Lines keep their places for this long, seconds, so that they can be read and clicked. */
const STEADY_S = 2;

/** @type {{key: string, label: string, unit?: string, title: string, up?: boolean}[]} */
const COLUMNS = [
  { key: "name", label: "method", title: "", up: true },
  { key: "version", label: "version", title: "The live version" },
  { key: "rate", label: "calls", title: "Calls answered a second, over the last second; the line is the last minute's" },
  { key: "calls", label: "calls", unit: "total", title: "Calls answered since the worker began, errors included" },
  { key: "errors", label: "errors", unit: "total", title: "Of these, the ones that ended in an error" },
  { key: "inFlight", label: "in flight", title: "Calls received and not yet answered" },
  { key: "p50", label: "p50", title: "Round trip as the clients measured it: half were faster" },
  { key: "p99", label: "p99", title: "Round trip as the clients measured it: 99 of 100 were faster" },
];
const ORDER = "What hurts stands on top, until a column's head is chosen: errors a second, and p99 times calls a second";

/** The table, with a field that finds methods and heads that sort them. */
export class Table {
  constructor() {
    /** @type {Map<string, Row>} The lines that are there. */
    this.rows = new Map();
    /** @type {Record<string, HTMLElement>} */
    this.units = {};
    /** @type {Record<"rate" | "p50" | "p99", import("../base/format.js").Unit>} */
    this.in = { rate: RATE[0], p50: LATENCY[0], p99: LATENCY[0] };
    /** @type {{by: import("./order.js").Key, down: boolean, find: string, open: Map<string, boolean>}} */
    this.wish = { by: "hurt", down: true, find: "", open: new Map() };
    /** @type {import("./order.js").Line[]} */
    this.lines = [];
    /** When the lines were put in order, seconds, and the methods that there were. */
    this.ordered = 0;
    /** @type {string[]} */
    this.names = [];
    /** @type {{endpoint: import("../base/state.js").Endpoint, history: import("../base/history.js").History} | null} */
    this.drawn = null;

    /** @type {Map<string, HTMLElement>} */
    this.heads = new Map();
    this.body = element("tbody", { role: "rowgroup" });
    this.caption = element("caption", { class: "pycrust-hidden" }, "Methods");
    this.table = element(
      "table",
      { role: "table" },
      this.caption,
      element("thead", { role: "rowgroup" }, element("tr", { role: "row", "aria-rowindex": "1" }, ...this.makeHeads())),
      this.body,
    );
    this.empty = element("p", { class: "pycrust-empty" }, "No methods yet. Put @endpoint.register() above a function and run its cell.");
    // A region that scrolls must be reachable by keyboard, and so needs a name.
    this.scroll = element(
      "div",
      { class: "pycrust-scroll", role: "region", tabindex: "0", "aria-label": "Methods, scrolls" },
      this.table,
      this.empty,
    );
    this.scroll.addEventListener("scroll", () => this.show());
    this.find = /** @type {HTMLInputElement} */ (element("input", {
      type: "search", class: "pycrust-filter", placeholder: "find a method", "aria-label": "Find methods", "data-testid": "find-method", spellcheck: "false",
    }));
    this.find.addEventListener("input", () => {
      this.wish.find = this.find.value;
      this.scroll.scrollTop = 0;
      this.arrange();
    });
    this.find.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook has keys of its own
    this.found = element("span", { class: "pycrust-found", role: "status" });
    this.tools = element(
      "div",
      { class: "pycrust-bar-tools" },
      element("h3", { class: "pycrust-title", title: ORDER }, "Methods"),
      this.find,
      this.found,
    );
    this.root = element("div", { class: "pycrust-methods" }, this.tools, this.scroll, legend());
  }

  makeHeads() {
    const made = COLUMNS.map(({ key, label, unit, title }) => {
      this.units[key] = element("span", { class: "pycrust-unit" }, unit ?? "");
      const button = element("button", { type: "button", class: "pycrust-sort" }, `${label} `, this.units[key]);
      button.addEventListener("click", () => this.sort(/** @type {import("./order.js").Key} */ (key)));
      const head = element("th", { scope: "col", role: "columnheader", class: `pycrust-${key}` }, button);
      head.title = title;
      this.heads.set(key, head);
      return head;
    });
    const unit = element("span", { class: "pycrust-unit" }, "p50 of each stage");
    return [...made, element("th", { scope: "col", role: "columnheader", class: "pycrust-stages" }, "where the time went ", unit)];
  }

  /**
   * A head was clicked: first one way, then the other, then what hurts.
   * @param {import("./order.js").Key} key
   */
  sort(key) {
    const first = COLUMNS.find((column) => column.key === key)?.up !== true;
    if (this.wish.by !== key) Object.assign(this.wish, { by: key, down: first });
    else if (this.wish.down === first) this.wish.down = !first;
    else Object.assign(this.wish, { by: "hurt", down: true });
    for (const [name, head] of this.heads) {
      attribute(head, "aria-sort", name !== this.wish.by ? null : this.wish.down ? "descending" : "ascending");
    }
    this.arrange();
  }

  /** @param {string} key */
  fold(key) {
    const line = this.lines.find((one) => one.key === key);
    if (line && line.kind !== "method") this.wish.open.set(key, !line.open);
    this.arrange();
  }

  /**
   * @param {import("../base/state.js").Endpoint} endpoint
   * @param {import("../base/history.js").History} history
   */
  draw(endpoint, history) {
    this.drawn = { endpoint, history };
    // What is read or about to be clicked stays where it is.
    const held = this.body.matches(":hover") || this.body.contains(this.scroll.ownerDocument.activeElement);
    const due = endpoint.at - this.ordered >= STEADY_S && !held;
    this.arrange(!due && endpoint.names === this.names);
    write(this.caption, `Methods of endpoint ${endpoint.endpoint}, with rates, errors and round trips`);
    this.empty.hidden = endpoint.methods.length > 0;
    this.tools.hidden = endpoint.methods.length === 0;
  }

  /**
   * Puts the lines in order, or fills them with new numbers where they stand.
   * @param {boolean} [stay]
   */
  arrange(stay = false) {
    if (this.drawn === null) return;
    const { endpoint, history } = this.drawn;
    const { rates } = history;
    const shown = endpoint.methods.map((method, place) => ({
      place,
      name: method.name,
      version: method.version,
      calls: method.calls,
      errors: method.errors,
      inFlight: method.inFlight,
      p50: method.p50 > 0 ? method.p50 : null,
      p99: method.p99 > 0 ? method.p99 : null,
      rate: endpoint.serving ? measured(rates.rate("calls", place)) : null,
      errorRate: endpoint.serving ? measured(rates.rate("errors", place)) : null,
      idle: rates.idle(place, method),
    }));
    for (const [key, units] of /** @type {const} */ ([["rate", RATE], ["p50", LATENCY], ["p99", LATENCY]])) {
      this.in[key] = unitFor(shown.map((each) => each[key]), units, this.in[key]);
      write(this.units[key], this.in[key].name);
    }
    const fresh = lines(shown, this.wish);
    if (stay) {
      const now = new Map(fresh.map((line) => [line.key, line]));
      this.lines = this.lines.map((line) => now.get(line.key) ?? (line.kind === "method" ? { ...line, one: shown[line.one.place] } : line));
    } else {
      this.lines = fresh;
      this.ordered = endpoint.at;
      this.names = endpoint.names;
    }
    write(this.found, this.wish.find.trim() === "" ? "" : `${count(fresh.length)} of ${count(shown.length)}`);
    attribute(this.table, "aria-rowcount", String(this.lines.length + 1));
    this.body.style.height = `${this.lines.length * LINE}px`;
    this.show();
  }

  /** Draws the lines in sight. */
  show() {
    if (this.drawn === null) return;
    const { endpoint, history } = this.drawn;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / LINE) - MORE);
    const last = first + Math.ceil((this.scroll.clientHeight || 400) / LINE) + 2 * MORE;
    const sight = this.lines.slice(first, last);
    const keys = new Set(sight.map((line) => `${line.kind} ${line.key}`));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.root.remove();
      this.rows.delete(key);
    }
    sight.forEach((line, at) => {
      const key = `${line.kind} ${line.key}`;
      let row = this.rows.get(key);
      if (!row) {
        row = new Row(line, (folded) => this.fold(folded));
        this.rows.set(key, row);
      }
      const place = line.kind === "method" ? line.one.place : -1;
      row.draw(line, endpoint.methods[place] ?? null, this.in, endpoint.rebound[line.key] ?? []);
      row.spark?.draw(history.rates, place);
      row.root.style.top = `${(first + at) * LINE}px`;
      attribute(row.root, "aria-rowindex", String(first + at + 2));
      if (this.body.children[at] !== row.root) this.body.insertBefore(row.root, this.body.children[at] ?? null);
    });
  }
}

function legend() {
  const items = STAGES.map(({ key, what }) =>
    element(
      "li",
      { title: what },
      element("span", { class: "pycrust-part pycrust-swatch", "data-stage": key, "aria-hidden": "true" }),
      key,
    ),
  );
  return element("ul", { class: "pycrust-legend", "aria-label": "Stages of a call, in order" }, ...items);
}
