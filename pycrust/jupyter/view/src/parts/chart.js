// Calls a second and round trips over the last minute, one above the other on the same seconds.
import uPlot from "uplot";
import { attribute, element, write } from "../base/dom.js";
import { RATE, digits, latency, single } from "../base/format.js";
import { SHOWN_S } from "../base/history.js";
import { place } from "./marks.js";

/** Pixels that the value axis takes, the same in both plots so that their seconds line up. */
const AXIS_PX = 58;
const RATE_PX = 80;
const LATENCY_PX = 134;
const PAD_PX = 20;

/**
 * The decades around all values, at least two: a scale that does not jump with each value.
 * @param {(number | null)[]} values nanoseconds
 * @returns {[number, number]}
 */
export function decades(values) {
  const known = values.filter((value) => value !== null).filter((value) => value > 0);
  if (known.length === 0) return [1e3, 1e6];
  const low = 10 ** Math.floor(Math.log10(Math.min(...known)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...known) * 1.0001));
  return high / low < 100 ? [low, low * 100] : [low, high];
}

/**
 * The next round number above: 1, 2 or 5 times a power of ten.
 * @param {number} value
 */
export function roundUp(value) {
  if (!(value > 0)) return 10;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

/** The two plots, their marks and their readout. */
export class Chart {
  constructor() {
    /** Both plots point at the same second. */
    this.sync = `pycrust-${Math.random()}`;
    this.rateBox = element("div", { class: "pycrust-plot" });
    this.latencyBox = element("div", { class: "pycrust-plot" });
    this.marks = element("div", { class: "pycrust-marks" });
    this.readout = element("span", { class: "pycrust-readout" });
    this.nothing = element("span");
    this.none = element("p", { class: "pycrust-none" }, this.nothing);
    this.plots = element(
      "div",
      { class: "pycrust-plots", role: "img", "aria-label": "Calls and errors a second, and p50 and p99 of the round trip on a logarithmic scale, over the last 60 seconds" },
      this.rateBox,
      this.latencyBox,
      this.marks,
      this.none,
    );
    this.root = element(
      "div",
      { class: "pycrust-chart" },
      element(
        "div",
        { class: "pycrust-key" },
        key("rate", "calls/s"),
        key("errors", "errors/s"),
        key("p50", "round trip p50"),
        key("p99", "p99"),
        this.readout,
      ),
      this.plots,
    );
    /** @type {uPlot | null} */
    this.rate = null;
    /** @type {uPlot | null} */
    this.latency = null;
    /** @type {[number, number]} */
    this.seconds = [-SHOWN_S, 0];
    this.width = 0;
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.plots);
  }

  fit() {
    const width = Math.floor(this.plots.clientWidth);
    if (width === 0 || width === this.width) return;
    this.width = width;
    if (this.rate === null) this.make();
    this.rate?.setSize({ width, height: RATE_PX });
    this.latency?.setSize({ width, height: LATENCY_PX });
    this.drawMarks();
  }

  /** Makes the plots, again when the theme changed: uPlot reads its colours once. */
  make() {
    this.rate?.destroy();
    this.latency?.destroy();
    if (this.width === 0) return;
    const style = getComputedStyle(this.root);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const ink = colour("--pycrust-muted");
    const grid = { stroke: colour("--pycrust-line"), width: 1 };
    const font = `11px ${style.fontFamily}`;
    const side = { stroke: ink, grid, ticks: { show: false }, font, size: AXIS_PX, gap: 6 };
    const line = (/** @type {string} */ name, more = {}) => ({
      stroke: colour(name), width: 1.75, points: { show: false }, spanGaps: false, ...more,
    });
    const common = {
      width: this.width,
      legend: { show: false },
      cursor: {
        sync: { key: this.sync },
        drag: { x: false, y: false },
        points: { size: 6 },
      },
      hooks: { setCursor: [(/** @type {uPlot} */ plot) => this.read(plot.cursor.idx ?? null)] },
    };
    const x = { time: false, range: () => this.seconds };
    this.rate = new uPlot(
      {
        ...common,
        height: RATE_PX,
        padding: [8, PAD_PX, 8, 0],
        scales: { x, y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ max) => [0, roundUp(max)] } },
        axes: [
          { show: false },
          {
            ...side,
            splits: (plot) => [0, (plot.scales.y.max ?? 0) / 2, plot.scales.y.max ?? 0],
            values: (_, splits) => this.rateLabels(splits),
          },
        ],
        series: [{}, line("--pycrust-blue", { fill: colour("--pycrust-blue-wash") }), line("--pycrust-red", { width: 1.25 })],
      },
      this.rateData ?? [[], [], []],
      this.rateBox,
    );
    this.latency = new uPlot(
      {
        ...common,
        height: LATENCY_PX,
        padding: [8, PAD_PX, 0, 0],
        scales: {
          x,
          y: { distr: 3, range: () => decades([...(this.latencyData?.[1] ?? []), ...(this.latencyData?.[2] ?? [])]) },
        },
        axes: [
          {
            stroke: ink, font, grid, size: 24, gap: 4, ticks: { show: false },
            splits: () => [-60, -45, -30, -15, 0].map((s) => this.seconds[1] + s),
            values: () => ["", "−45 s", "−30 s", "−15 s", "now"],
          },
          {
            ...side,
            splits: (plot) => powers(plot.scales.y.min ?? 1, plot.scales.y.max ?? 10),
            values: (_, splits) => splits.map((each) => latency(each).replace(/\.0+ /, " ")),
          },
        ],
        series: [{}, line("--pycrust-blue"), line("--pycrust-amber", { dash: [5, 3] })],
      },
      this.latencyData ?? [[], [], []],
      this.latencyBox,
    );
  }

  /** @param {number[]} splits */
  rateLabels(splits) {
    const { unit } = single(splits[splits.length - 1], RATE);
    return splits.map((each) => (each === 0 ? "0" : `${Number((each / unit.scale).toPrecision(3))} ${unit.name}`));
  }

  /**
   * @param {import("../base/state.js").Endpoint} endpoint
   * @param {import("../base/history.js").History} history
   */
  draw(endpoint, history) {
    const { shown } = history;
    const at = shown.map((each) => each.at);
    const now = at[at.length - 1] ?? 0;
    this.seconds = [now - SHOWN_S, now];
    this.shown = shown;
    this.history = history;
    this.rateData = /** @type {any} */ ([
      at, shown.map((each) => each.rate), shown.map((each) => (each.errors === null || each.errors === 0 ? null : each.errors)),
    ]);
    this.latencyData = /** @type {any} */ ([at, shown.map((each) => each.p50), shown.map((each) => each.p99)]);
    this.rate?.setData(this.rateData);
    this.latency?.setData(this.latencyData);
    write(this.nothing, note(endpoint));
    this.plots.dataset.points = String(shown.length);
    this.none.hidden = shown.some((each) => each.p50 !== null || (each.rate ?? 0) > 0);
    this.drawMarks();
  }

  /** One line over both plots for every version change. */
  drawMarks() {
    const marks = this.history?.marks ?? [];
    const room = Math.max(0, this.width - AXIS_PX - PAD_PX);
    const pixels = (/** @type {number} */ at) => AXIS_PX + ((at - this.seconds[0]) / SHOWN_S) * room;
    const placed = place(marks, pixels, AXIS_PX + room / 2);
    while (this.marks.children.length > marks.length) this.marks.lastElementChild?.remove();
    marks.forEach((mark, at) => {
      let made = /** @type {HTMLElement} */ (this.marks.children[at]);
      if (!made) {
        made = element("div", { class: "pycrust-mark", "data-testid": "swap-mark" }, element("span", { class: "pycrust-mark-label" }));
        this.marks.append(made);
      }
      const { x, side, lane } = placed[at];
      made.style.transform = `translateX(${x.toFixed(1)}px)`; // unlike `left`, moves no layout
      made.dataset.lane = String(lane);
      made.dataset.side = side;
      attribute(made, "title", `Version change: ${mark.label}`);
      write(/** @type {Node} */ (made.firstChild), lane < 0 ? "" : mark.label);
    });
  }

  /** @param {number | null} index the point under the cursor */
  read(index) {
    const point = index === null ? undefined : this.shown?.[index];
    if (!point) {
      write(this.readout, "");
      return;
    }
    const rate = single(point.rate, RATE);
    const failed = point.errors ? `, ${digits(point.errors)} errors/s` : "";
    const ago = (this.seconds[1] - point.at).toFixed(0);
    write(this.readout, `${digits(Number(ago))} s ago: ${rate.text} ${rate.unit.name}${failed} · p50 ${latency(point.p50)} · p99 ${latency(point.p99)}`);
  }

  remove() {
    this.observer.disconnect();
    this.rate?.destroy();
    this.latency?.destroy();
  }
}

/** @param {import("../base/state.js").Endpoint} endpoint */
function note({ endpoint, methods }) {
  if (methods.some((method) => method.calls > 0)) return "No calls in the last 60 s";
  return `No calls yet. In Rust: RpcClient::connect("${endpoint}").await?`;
}

/**
 * @param {number} low
 * @param {number} high
 */
function powers(low, high) {
  const found = [];
  for (let each = low; each <= high * 1.001; each *= 10) found.push(each);
  return found;
}

/**
 * @param {string} line
 * @param {string} label
 */
function key(line, label) {
  return element("span", { class: "pycrust-key-item" }, element("span", { class: "pycrust-stroke", "data-line": line, "aria-hidden": "true" }), label);
}
