// One row a method: numbers, and where the time went.
import { element, write, attribute } from "../base/dom.js";
import { LATENCY, NOTHING, RATE, compact, count, digits, latency, measured, unitFor } from "../base/format.js";
import { STAGES, longest, shares } from "../base/stages.js";

const COLUMNS = [
  { key: "name", label: "method", title: "" },
  { key: "version", label: "version", title: "The live version" },
  { key: "rate", label: "calls", title: "Calls answered a second, over the last second", units: RATE },
  { key: "calls", label: "calls", unit: "total", title: "Calls answered since the worker began, errors included" },
  { key: "errors", label: "errors", unit: "total", title: "Of these, the ones that ended in an error" },
  { key: "inFlight", label: "in flight", title: "Calls received and not yet answered" },
  { key: "p50", label: "p50", title: "Round trip as the clients measured it: half were faster", units: LATENCY },
  { key: "p99", label: "p99", title: "Round trip as the clients measured it: 99 of 100 were faster", units: LATENCY },
  { key: "stages", label: "where the time went", unit: "p50 of each stage", title: "" },
];

/** A row's parts that change. */
class Row {
  /** @param {string} name */
  constructor(name) {
    /** @type {Record<string, HTMLElement>} */
    this.cells = {};
    this.root = element("tr", { role: "row", "data-testid": `row-${name}` });
    for (const { key } of COLUMNS) {
      const head = key === "name";
      const cell = element(head ? "th" : "td", { class: `pycrust-${key}`, role: head ? "rowheader" : "cell" });
      if (head) cell.setAttribute("scope", "row");
      this.cells[key] = cell;
      this.root.append(cell);
    }
    this.cells.name.textContent = name;
    this.chip = element("span", { class: "pycrust-chip" });
    this.cells.version.append(this.chip);
    this.parts = STAGES.map(({ key }) => element("span", { class: "pycrust-part", "data-stage": key }));
    this.bar = element("div", { class: "pycrust-bar", role: "img" }, ...this.parts);
    this.most = element("span", { class: "pycrust-most" });
    this.cells.stages.append(this.bar, this.most);
  }

  /** @param {number[]} medians */
  drawStages(medians) {
    const parts = shares(medians);
    const words = STAGES.map(({ key }, at) => `${key} ${latency(measured(medians[at]))}`);
    attribute(this.bar, "aria-label", parts === null ? "nothing measured yet" : words.join(", "));
    attribute(this.bar, "data-empty", parts === null ? "true" : null);
    STAGES.forEach(({ what }, at) => {
      const share = parts?.[at] ?? 0;
      this.parts[at].style.flexGrow = share.toFixed(4);
      this.parts[at].hidden = share === 0;
      attribute(this.parts[at], "title", `${words[at]} (${(share * 100).toFixed(0)} %) ${what}`);
    });
    const top = longest(parts);
    write(this.most, parts === null ? "" : words[top]);
  }
}

/** The table of methods. */
export class Table {
  constructor() {
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** @type {Record<string, HTMLElement>} */
    this.units = {};
    /** @type {Record<string, import("../base/format.js").Unit | null>} */
    this.in = { rate: null, p50: null, p99: null };
    const heads = COLUMNS.map(({ key, label, unit, title }) => {
      this.units[key] = element("span", { class: "pycrust-unit" }, unit ?? "");
      const head = element("th", { scope: "col", role: "columnheader", class: `pycrust-${key}` }, `${label} `, this.units[key]);
      if (title) head.title = title;
      return head;
    });
    this.body = element("tbody", { role: "rowgroup" });
    this.caption = element("caption", { class: "pycrust-hidden" }, "Methods");
    this.table = element(
      "table",
      { role: "table" },
      this.caption,
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
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
    this.root = element("div", {}, this.scroll, legend());
  }

  /**
   * @param {import("../base/state.js").Endpoint} endpoint
   * @param {import("../base/history.js").History} history
   */
  draw(endpoint, history) {
    this.arrange(endpoint);
    const shown = endpoint.methods.map((method) => ({
      method,
      rate: endpoint.serving ? measured(history.rate(method.name)) : null,
      p50: method.p50 > 0 ? method.p50 : null,
      p99: method.p99 > 0 ? method.p99 : null,
    }));
    for (const [key, units] of /** @type {const} */ ([["rate", RATE], ["p50", LATENCY], ["p99", LATENCY]])) {
      this.in[key] = unitFor(shown.map((each) => each[key]), units, this.in[key]);
      write(this.units[key], this.in[key].name);
    }
    for (const each of shown) {
      const row = this.rows.get(each.method.name);
      if (row) this.fill(row, each, endpoint.rebound[each.method.name] ?? []);
    }
    write(this.caption, `Methods of endpoint ${endpoint.endpoint}, with rates, errors and round trips`);
    this.empty.hidden = endpoint.methods.length > 0;
  }

  /**
   * @param {Row} row
   * @param {{method: import("../base/state.js").Method, rate: number | null, p50: number | null, p99: number | null}} each
   * @param {string[]} rebound globals under the live version that are others now
   */
  fill(row, { method, rate, p50, p99 }, rebound) {
    const { cells } = row;
    attribute(row.root, "data-version", String(method.version));
    write(row.chip, `v${method.version}${rebound.length > 0 ? "*" : ""}`);
    attribute(row.chip, "data-rebound", rebound.length > 0 ? "true" : null);
    attribute(row.chip, "title", rebound.length > 0
      ? `Reads ${rebound.join(", ")}, bound to something else since this version was published. Run its cell again to publish what it does now.`
      : null);
    for (const [key, value] of /** @type {const} */ ([["rate", rate], ["p50", p50], ["p99", p99]])) {
      write(cells[key], value === null ? NOTHING : digits(value / (this.in[key]?.scale ?? 1)));
    }
    for (const cell of [cells.p50, cells.p99]) {
      attribute(cell, "title", p50 === null ? null : `p50 ${latency(p50)}, p90 ${latency(method.p90)}, p99 ${latency(p99)}, p99.9 ${latency(method.p999)}, slowest ${latency(method.max)}`);
    }
    write(cells.calls, count(method.calls));
    write(cells.errors, compact(method.errors));
    attribute(cells.errors, "data-bad", method.errors > 0 ? "true" : null);
    write(cells.inFlight, compact(method.inFlight));
    row.drawStages(method.stages);
  }

  /**
   * Makes and removes rows so that they stand in the endpoint's order.
   * @param {import("../base/state.js").Endpoint} endpoint
   */
  arrange(endpoint) {
    const names = new Set(endpoint.methods.map((method) => method.name));
    for (const [name, row] of this.rows) {
      if (names.has(name)) continue;
      row.root.remove();
      this.rows.delete(name);
    }
    endpoint.methods.forEach(({ name }, at) => {
      let row = this.rows.get(name);
      if (!row) {
        row = new Row(name);
        this.rows.set(name, row);
      }
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
