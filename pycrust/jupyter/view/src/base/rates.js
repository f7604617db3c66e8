// What each method did lately: differences of the totals that the kernel sends. Kept in arrays, since there may be thousands.

/** Rates are differences over about this long, seconds. */
const RATE_S = 1;
/** Buckets of a method's line, one a second. */
export const BUCKETS = 60;
/** A method without a call for this long is idle, seconds. */
const IDLE_S = 10;

/** @typedef {{at: number, calls: Float64Array, errors: Float64Array}} Sample */

/** Rates, lines and idleness of an endpoint's methods, by their places in its list. */
export class Rates {
  /** @type {string[]} */
  names = [];
  /** @type {Sample[]} The totals of the last RATE_S seconds and a little more. */
  samples = [];
  /** When each method's calls last grew, seconds since 1970; 0 where that was not seen. */
  moved = new Float64Array(0);
  /** Calls in each of the last seconds, BUCKETS for each method; the next one to be written is at `second % BUCKETS`. */
  buckets = new Float32Array(0);
  /** @type {Float64Array} Each method's total when the running second began. */
  base = new Float64Array(0);
  /** The running second. */
  second = 0;
  /** When this began to look. */
  since = 0;

  /** Forgets all: what another worker counted can't be compared. */
  clear() {
    this.names = [];
    this.samples = [];
  }

  /** @param {import("./state.js").Endpoint} endpoint */
  add(endpoint) {
    const { at, methods, names } = endpoint;
    const calls = Float64Array.from(methods, (method) => method.calls);
    const errors = Float64Array.from(methods, (method) => method.errors);
    const same = names === this.names || (names.length === this.names.length && names.every((name, place) => name === this.names[place]));
    const last = this.samples[this.samples.length - 1];
    if (!same) this.rearrange(names, calls, at);
    else if (last && (at < last.at || calls.some((total, place) => total < last.calls[place]))) this.samples = [];
    else if (last) {
      calls.forEach((total, place) => {
        if (total > last.calls[place]) this.moved[place] = at;
      });
      if (at === last.at) this.samples.pop();
    }
    this.names = names;
    this.samples.push({ at, calls, errors });
    while (this.samples.length > 2 && this.samples[1].at <= at - RATE_S) this.samples.shift();
    this.turn(at, calls);
  }

  /**
   * Methods came or went: what is known of the others stays.
   * @param {string[]} names
   * @param {Float64Array} calls
   * @param {number} at
   */
  rearrange(names, calls, at) {
    const before = new Map(this.names.map((name, place) => [name, place]));
    const { moved, buckets } = this;
    if (before.size === 0) [this.since, this.second] = [at, Math.floor(at)];
    this.samples = [];
    this.base = calls.slice();
    this.moved = new Float64Array(names.length);
    this.buckets = new Float32Array(names.length * BUCKETS);
    names.forEach((name, place) => {
      const was = before.get(name);
      if (was === undefined) return;
      this.moved[place] = moved[was];
      this.buckets.set(buckets.subarray(was * BUCKETS, (was + 1) * BUCKETS), place * BUCKETS);
    });
  }

  /**
   * Closes the seconds that have passed.
   * @param {number} at
   * @param {Float64Array} calls
   */
  turn(at, calls) {
    const second = Math.floor(at);
    if (second < this.second || second > this.second + BUCKETS) {
      this.buckets.fill(0);
      this.second = second;
      this.base = calls;
    }
    for (; this.second < second; this.second += 1) {
      const slot = this.second % BUCKETS;
      for (let place = 0; place < calls.length; place += 1) {
        this.buckets[place * BUCKETS + slot] = Math.max(0, calls[place] - this.base[place]);
      }
      // What was counted since belongs to the first of several seconds that pass at once.
      this.base = calls;
    }
  }

  /**
   * A second's difference of one of the totals.
   * @param {"calls" | "errors"} what
   * @param {number} place
   * @returns {number | null} null until two looks lie apart
   */
  rate(what, place) {
    const now = this.samples[this.samples.length - 1];
    const then = this.samples[0];
    if (!now || then === now || !(place < now[what].length)) return null;
    return (now[what][place] - then[what][place]) / (now.at - then.at);
  }

  /**
   * Whether nobody calls a method now. One that was called before this began to look counts as busy for a while.
   * @param {number} place
   * @param {import("./state.js").Method} method
   */
  idle(place, method) {
    const now = this.samples[this.samples.length - 1]?.at ?? 0;
    if (method.inFlight > 0) return false;
    if (this.moved[place] > 0) return now - this.moved[place] > IDLE_S;
    return method.calls === 0 || now - this.since > IDLE_S;
  }

  /**
   * Calls in each of the last seconds, the oldest first.
   * @param {number} place
   */
  line(place) {
    const slot = this.second % BUCKETS;
    const own = this.buckets.subarray(place * BUCKETS, (place + 1) * BUCKETS);
    return [...own.subarray(slot), ...own.subarray(0, slot)];
  }
}
