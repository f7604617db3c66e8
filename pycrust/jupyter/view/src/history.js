// The last minute, kept in the page alone: nothing of it is ever saved into the notebook.
import { percentile, points } from "./mixture.js";

/** Seconds of history that the chart shows. */
export const SHOWN_S = 60;
/** Rates are differences over about this long. */
const RATE_S = 1;
/** Methods called within this long count in the percentiles of all. */
const WEIGHT_S = 5;

/**
 * The totals of one moment.
 * @typedef {{at: number, calls: Map<string, number>, total: number}} Sample
 */

/** Rates, percentiles of all methods, points of the chart and the marks of version changes. */
export class History {
  /** @type {Sample[]} The last WEIGHT_S seconds. */
  samples = [];
  /** @type {{at: number, rate: number | null, p50: number | null, p99: number | null}[]} */
  shown = [];
  /** @type {{at: number, label: string}[]} */
  marks = [];
  /** @type {Map<string, number>} The last version seen of each method. */
  versions = new Map();
  /** @type {string} Totals of another life of the worker can't be subtracted. */
  life = "";

  /**
   * Takes one state of the endpoint in.
   * @param {import("./state.js").Endpoint} endpoint
   */
  add(endpoint) {
    const at = endpoint.at;
    const calls = new Map(endpoint.methods.map((method) => [method.name, method.calls]));
    const total = endpoint.methods.reduce((sum, method) => sum + method.calls, 0);
    const last = this.samples[this.samples.length - 1];
    const life = `${endpoint.endpoint} ${endpoint.pid}`;
    if (life !== this.life) this.forget(life);
    else if (last && (at < last.at || backwards(last.calls, calls))) this.samples = [];
    if (last && at === last.at) this.samples.pop();
    this.samples.push({ at, calls, total });
    while (this.samples.length > 2 && this.samples[1].at <= at - WEIGHT_S) this.samples.shift();
    this.mark(endpoint);
    const now = this.percentiles(endpoint);
    if (this.shown.length > 0 && this.shown[this.shown.length - 1].at >= at) this.shown.pop();
    this.shown.push({ at, rate: this.totalRate(), ...now });
    while (this.shown.length > 0 && this.shown[0].at < at - SHOWN_S - 1) this.shown.shift();
    while (this.marks.length > 0 && this.marks[0].at < at - SHOWN_S) this.marks.shift();
  }

  /** @param {string} life */
  forget(life) {
    this.life = life;
    this.samples = [];
    this.shown = [];
    this.marks = [];
    this.versions.clear();
  }

  /** @param {import("./state.js").Endpoint} endpoint */
  mark(endpoint) {
    const changed = [];
    for (const { name, version } of endpoint.methods) {
      const before = this.versions.get(name);
      if (before !== undefined && before !== version) changed.push(`${name} v${version}`);
      this.versions.set(name, version);
    }
    if (changed.length > 3) changed.splice(2, changed.length, `${changed.length - 2} more`);
    if (changed.length > 0) this.marks.push({ at: endpoint.at, label: changed.join(", ") });
  }

  /**
   * The sample that lies `seconds` back, or the oldest after it.
   * @param {number} seconds
   */
  before(seconds) {
    const now = this.samples[this.samples.length - 1];
    // Half a period of tolerance: a snapshot that came a little early still counts as that far back.
    return this.samples.findLast((sample) => sample.at <= now.at - seconds + 0.1) ?? this.samples[0];
  }

  /**
   * Calls a second of one method.
   * @param {string} name
   * @returns {number | null} null until two snapshots lie apart
   */
  rate(name) {
    const now = this.samples[this.samples.length - 1];
    if (!now) return null;
    const then = this.before(RATE_S);
    if (then === now) return null;
    return ((now.calls.get(name) ?? 0) - (then.calls.get(name) ?? 0)) / (now.at - then.at);
  }

  /** Calls a second of all methods. */
  totalRate() {
    const now = this.samples[this.samples.length - 1];
    if (!now) return null;
    const then = this.before(RATE_S);
    return then === now ? null : Math.max(0, now.total - then.total) / (now.at - then.at);
  }

  /**
   * p50 and p99 of all calls of the last seconds; null where there were none.
   * @param {import("./state.js").Endpoint} endpoint
   */
  percentiles(endpoint) {
    const then = this.before(WEIGHT_S);
    const now = this.samples[this.samples.length - 1];
    const parts = [];
    for (const method of endpoint.methods) {
      const known = points(method);
      const weight = (now.calls.get(method.name) ?? 0) - (then.calls.get(method.name) ?? 0);
      if (known !== null && weight > 0) parts.push({ weight, points: known });
    }
    return { p50: percentile(parts, 0.5), p99: percentile(parts, 0.99) };
  }
}

/**
 * @param {Map<string, number>} before
 * @param {Map<string, number>} now
 */
function backwards(before, now) {
  for (const [name, calls] of before) if ((now.get(name) ?? calls) < calls) return true;
  return false;
}
