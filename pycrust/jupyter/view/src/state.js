// What the kernel said, put together from a snapshot and the updates after it.
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
 * @property {string} endpoint
 * @property {number} pid
 * @property {boolean} serving
 * @property {number} at seconds on the worker's own clock
 * @property {number} up milliseconds
 * @property {number} clients
 * @property {number} unknown calls to names that no method has
 * @property {number} malformed frames that broke the specification
 * @property {Method[]} methods
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
        ...head(message),
        endpoint: String(message.endpoint ?? ""),
        pid: whole(message.pid),
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
    this.endpoint = { ...this.endpoint, ...head(message), methods };
    return "changed";
  }
}

/** @param {any} message */
function head(message) {
  return {
    serving: message.serving === true,
    at: whole(message.at) / 1e6,
    up: whole(message.up),
    clients: whole(message.clients),
    unknown: whole(message.unknown),
    malformed: whole(message.malformed),
  };
}

/** How long without a message until the view says so. */
export const STALE_MS = 2000;

/**
 * What the view says about itself.
 * @param {{known: boolean, live: boolean, serving: boolean, silentMs: number}} facts
 * @returns {"waiting" | "live" | "stopped" | "stale" | "disconnected"}
 */
export function condition({ known, live, serving, silentMs }) {
  if (!live) return "disconnected";
  if (!known) return "waiting";
  // A stopped endpoint publishes nothing; that is no fault of the connection.
  if (!serving) return "stopped";
  return silentMs > STALE_MS ? "stale" : "live";
}
