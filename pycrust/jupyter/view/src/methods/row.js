// One line of the table: a method, a group of methods, or the fold of those that idle.
import { attribute, element, write } from "../base/dom.js";
import { NOTHING, compact, count, digits, latency, measured } from "../base/format.js";
import { STAGES, longest, shares } from "../base/stages.js";
import { Name } from "../base/name.js";
import { Spark } from "./spark.js";

export const CELLS = ["name", "version", "rate", "calls", "errors", "inFlight", "p50", "p99", "stages"];

/** @typedef {Record<"rate" | "p50" | "p99", import("../base/format.js").Unit>} Units */

/** The parts of a line that change. */
export class Row {
  /**
   * @param {import("./order.js").Line} line
   * @param {(key: string) => void} fold opens or folds
   */
  constructor(line, fold) {
    /** @type {Record<string, HTMLElement>} */
    this.cells = {};
    const { key, kind } = line;
    this.root = element("tr", { role: "row", "data-kind": kind, "data-testid": kind === "method" ? `row-${key}` : `fold-${key}` });
    for (const name of CELLS) {
      const head = name === "name";
      const cell = element(head ? "th" : "td", { class: `pycrust-${name}`, role: head ? "rowheader" : "cell" });
      if (head) cell.setAttribute("scope", "row");
      this.cells[name] = cell;
      this.root.append(cell);
    }
    this.name = new Name();
    if (kind === "method") {
      this.cells.name.append(this.name.root);
      this.chip = element("span", { class: "pycrust-chip" });
      this.cells.version.append(this.chip);
      this.spark = new Spark();
      this.cells.rate.prepend(this.spark.root);
      this.rate = element("span", {});
      this.cells.rate.append(this.rate);
      this.parts = STAGES.map(({ key: stage }) => element("span", { class: "pycrust-part", "data-stage": stage }));
      this.bar = element("div", { class: "pycrust-bar", role: "img" }, ...this.parts);
      this.most = element("span", { class: "pycrust-most" });
      this.cells.stages.append(this.bar, this.most);
    } else {
      this.note = element("span", { class: "pycrust-name-note" });
      this.fold = element("button", { type: "button", class: "pycrust-fold" }, this.name.root, this.note);
      this.fold.addEventListener("click", () => fold(key));
      this.cells.name.append(this.fold);
      this.rate = this.cells.rate;
    }
  }

  /**
   * @param {import("./order.js").Line} line
   * @param {import("../base/state.js").Method | null} method
   * @param {Units} units
   * @param {string[]} rebound globals under the live version that are others now
   */
  draw(line, method, units, rebound) {
    if (line.kind === "idle") {
      this.name.draw(`${count(line.methods)} idle`);
      attribute(/** @type {HTMLElement} */ (this.fold), "aria-expanded", String(line.open));
      return;
    }
    const numbers = line.kind === "group" ? line.numbers : line.one;
    for (const [key, cell] of /** @type {const} */ ([["rate", this.rate], ["p50", this.cells.p50], ["p99", this.cells.p99]])) {
      const value = numbers[key];
      write(cell, value === null ? (line.kind === "group" && key === "p50" ? "" : NOTHING) : digits(value / units[key].scale));
    }
    write(this.cells.calls, count(numbers.calls));
    write(this.cells.errors, compact(numbers.errors));
    attribute(this.cells.errors, "data-bad", numbers.errors > 0 ? "true" : null);
    write(this.cells.inFlight, compact(numbers.inFlight));
    if (line.kind === "group") {
      this.name.draw(`${line.prefix}…`);
      write(/** @type {HTMLElement} */ (this.note), `${count(line.methods)} methods`);
      attribute(/** @type {HTMLElement} */ (this.fold), "aria-expanded", String(line.open));
      attribute(this.cells.p99, "title", "The slowest of these methods");
      return;
    }
    this.name.draw(line.one.name);
    attribute(this.cells.name, "title", line.one.name);
    attribute(this.root, "data-inside", line.inside ? "true" : null);
    if (method !== null) this.drawMethod(method, rebound);
  }

  /**
   * @param {import("../base/state.js").Method} method
   * @param {string[]} rebound
   */
  drawMethod(method, rebound) {
    const { cells } = this;
    const chip = /** @type {HTMLElement} */ (this.chip);
    attribute(this.root, "data-version", String(method.version));
    write(chip, `v${method.version}${rebound.length > 0 ? "*" : ""}`);
    attribute(chip, "data-rebound", rebound.length > 0 ? "true" : null);
    attribute(chip, "title", rebound.length > 0
      ? `Reads ${rebound.join(", ")}, bound to something else since this version was published. Run its cell again to publish what it does now.`
      : null);
    const known = method.p50 > 0;
    for (const cell of [cells.p50, cells.p99]) {
      attribute(cell, "title", known ? `p50 ${latency(method.p50)}, p90 ${latency(method.p90)}, p99 ${latency(method.p99)}, p99.9 ${latency(method.p999)}, slowest ${latency(method.max)}` : null);
    }
    this.drawStages(method.stages);
  }

  /** @param {number[]} medians */
  drawStages(medians) {
    const bar = /** @type {HTMLElement} */ (this.bar);
    const spans = /** @type {HTMLElement[]} */ (this.parts);
    const parts = shares(medians);
    const words = STAGES.map(({ key }, at) => `${key} ${latency(measured(medians[at]))}`);
    attribute(bar, "aria-label", parts === null ? "nothing measured yet" : words.join(", "));
    attribute(bar, "data-empty", parts === null ? "true" : null);
    STAGES.forEach(({ what }, at) => {
      const share = parts?.[at] ?? 0;
      spans[at].style.flexGrow = share.toFixed(4);
      spans[at].hidden = share === 0;
      attribute(spans[at], "title", `${words[at]} (${(share * 100).toFixed(0)} %) ${what}`);
    });
    write(/** @type {HTMLElement} */ (this.most), parts === null ? "" : words[longest(parts)]);
  }
}
