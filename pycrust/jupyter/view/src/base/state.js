// What the kernel said, put together from a snapshot and the updates after it.
import { measured } from "./format.js";
import { STAGES } from "./stages.js";

/**
 * @typedef {object} Method
 * @property {string} name
 * @property {number} version
 * @property {number} calls
 * @property {number} errors
 * @property {number} inFlight
 * @property {number} p50 round trip, nanoseconds, as are the next four
 * @property {number} p90
 * @property {number} p99
 * @property {number} p999
 * @property {number} max
 * @property {number[]} stages median of each stage, nanoseconds
 */

/**
 * @typedef {object} Endpoint
 * @property {number} sequence the number of the message that it comes from
 * @property {string} endpoint
 * @property {number} pid
 * @property {boolean} serving
 * @property {number} at seconds since 1970
 * @property {number} up milliseconds
 * @property {number} clients
 * @property {number} spin nanoseconds that a thread polls before it sleeps
 * @property {[number, number, number, number]} rhythm clients with a rhythm; calls for which a thread was awake in time, and times that
 *   it was and none came; the milliseconds that it was awake for them
 * @property {[number, number]} trip p50 and p99 of all methods' round trips, nanoseconds; 0 where there are none
 * @property {[number, number]} wait the same of the wait for the interpreter
 * @property {[number, number]} recent calls and errors of the last ten seconds
 * @property {number} unknown calls to names that no method has
 * @property {number} malformed frames that broke the specification
 * @property {string[]} names the methods; the same list for as long as they are the same
 * @property {Method[]} methods
 * @property {import("../parts/models.js").Slot[]} models
 * @property {Record<string, string[]>} rebound by method: globals under its live version that are others now
 * @property {import("../calls/recording.js").Settings | null} recording
 */

/**
 * One line of the event log; `parts` are what it stands for, if that is more than one thing.
 * @typedef {{number: number, at: number, kind: string, text: string, marks: string[], parts: {at: number, text: string}[]}} Event
 * @typedef {{at: number, rate: number | null, errors: number | null, p50: number | null, p99: number | null}} Point
 */

/** Fields of a row before its stages, in the order in which the kernel sends them. */
const FIELDS = ["version", "calls", "errors", "inFlight", "p50", "p90", "p99", "p999", "max"];

/** @param {unknown} value */
const whole = (value) => (typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0);

/**
 * @param {unknown} row
 * @param {string} name
 * @returns {Method}
 */
function method(row, name) {
  const cells = Array.isArray(row) ? row : [];
  /** @type {any} */
  const made = { name };
  FIELDS.forEach((field, at) => {
    made[field] = whole(cells[at]);
  });
  made.stages = STAGES.map((_, at) => whole(cells[FIELDS.length + at]));
  return made;
}

/** @param {unknown} pair @returns {[number, number]} */
const two = (pair) => (Array.isArray(pair) ? [whole(pair[0]), whole(pair[1])] : [0, 0]);

/**
 * The points that a message carries.
 * @param {any} message
 * @returns {Point[]}
 */
export function points(message) {
  const rows = Array.isArray(message?.points) ? message.points.filter(Array.isArray) : [];
  return rows.map((/** @type {unknown[]} */ [at, rate, errors, p50, p99]) => ({
    at: whole(at) / 1000, rate: measured(rate), errors: measured(errors), p50: measured(p50), p99: measured(p99),
  }));
}

/**
 * The lines for the log that a message carries.
 * @param {any} message
 * @returns {Event[]}
 */
export function events(message) {
  const rows = Array.isArray(message?.events) ? message.events.filter(Array.isArray) : [];
  return rows.map((/** @type {unknown[]} */ [number, at, kind, text, marks, parts]) => ({
    number: whole(number),
    at: whole(at) / 1000,
    kind: String(kind),
    text: String(text),
    marks: Array.isArray(marks) ? marks.map(String) : [],
    parts: Array.isArray(parts) ? parts.filter(Array.isArray).map(([when, what]) => ({ at: whole(when) / 1000, text: String(what) })) : [],
  }));
}

/** Puts messages together; says when one is missing. */
export class State {
  /** @type {Endpoint | null} */
  endpoint = null;
  /** @type {number} The number of the last message taken in. */
  sequence = -1;

  /**
   * Takes a message in.
   * @param {any} message
   * @returns {"changed" | "ignored" | "gap"} "gap": something was missed, ask for a snapshot
   */
  take(message) {
    if (message?.kind === "snapshot") {
      const names = Array.isArray(message.names) ? message.names.map(String) : [];
      this.sequence = whole(message.seq);
      this.endpoint = {
        ...head(message, NOTHING),
        sequence: this.sequence,
        endpoint: String(message.endpoint ?? ""),
        pid: whole(message.pid),
        names,
        methods: names.map((/** @type {string} */ name, /** @type {number} */ at) => method(message.rows?.[at], name)),
      };
      return "changed";
    }
    if (message?.kind !== "update") return "ignored";
    if (this.endpoint === null) return "gap";
    if (whole(message.seq) <= this.sequence) return "ignored";
    if (message.seq !== this.sequence + 1) return "gap";
    this.sequence = message.seq;
    const methods = this.endpoint.methods.slice();
    for (const row of Array.isArray(message.rows) ? message.rows : []) {
      const known = methods[row?.[0]];
      if (known) methods[row[0]] = method(row.slice(1), known.name);
    }
    this.endpoint = { ...this.endpoint, ...head(message, this.endpoint), methods, sequence: this.sequence };
    return "changed";
  }
}

/** What holds before anything was said. */
const NOTHING = {
  serving: false, at: 0, up: 0, clients: 0, spin: 0, unknown: 0, malformed: 0, rhythm: /** @type {[number, number, number, number]} */ ([0, 0, 0, 0]),
  trip: /** @type {[number, number]} */ ([0, 0]), wait: /** @type {[number, number]} */ ([0, 0]), recent: /** @type {[number, number]} */ ([0, 0]),
  models: /** @type {import("../parts/models.js").Slot[]} */ ([]), rebound: /** @type {Record<string, string[]>} */ ({}),
  recording: /** @type {import("../calls/recording.js").Settings | null} */ (null),
};

/**
 * What a message says of all methods together: it names what has changed.
 * @param {any} message
 * @param {typeof NOTHING} before
 */
function head(message, before) {
  const said = (/** @type {keyof typeof NOTHING} */ name, /** @type {(value: any) => any} */ read) =>
    message[name] === undefined ? before[name] : read(message[name]);
  return {
    serving: said("serving", (value) => value === true),
    at: said("at", (value) => whole(value) / 1000),
    up: said("up", whole),
    clients: said("clients", whole),
    spin: said("spin", whole),
    rhythm: said("rhythm", (value) => NOTHING.rhythm.map((_, at) => whole(value?.[at]))),
    trip: said("trip", two),
    wait: said("wait", two),
    recent: said("recent", two),
    unknown: said("unknown", whole),
    malformed: said("malformed", whole),
    models: said("models", (value) => (Array.isArray(value) ? value.filter(Array.isArray) : [])),
    rebound: said("rebound", (value) => value ?? {}),
    recording: said("recording", (value) => value),
  };
}

/** How long without a message until the view says so. */
export const STALE_MS = 2000;

/**
 * What the view says about itself.
 * @param {{known: boolean, ended: boolean, cut: boolean, serving: boolean, silentMs: number}} facts
 *   `ended`: the kernel that knew this view is gone; `cut`: the notebook's server is out of reach
 * @returns {"waiting" | "live" | "stopped" | "stale" | "cut" | "disconnected"}
 */
export function condition({ known, ended, cut, serving, silentMs }) {
  if (ended) return "disconnected";
  if (cut) return "cut";
  if (!known) return "waiting";
  // A stopped endpoint publishes nothing; that is no fault of the connection.
  if (!serving) return "stopped";
  return silentMs > STALE_MS ? "stale" : "live";
}
