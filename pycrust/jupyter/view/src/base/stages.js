// The seven stages of a call, in the order in which it passes through them.

/**
 * Blue stages are native, amber ones hold the interpreter; hatched ones are waits. Shape and place tell
 * them apart where colour does not.
 */
export const STAGES = [
  { key: "transit", what: "on the way to the worker" },
  { key: "queue", what: "waiting in the worker's queue" },
  { key: "interpreter", what: "waiting for the interpreter" },
  { key: "decode", what: "decoding and validating" },
  { key: "handler", what: "in the handler" },
  { key: "encode", what: "serialising and encoding" },
  { key: "back", what: "on the way back, as the client measured it" },
];

/**
 * Each stage's share of the whole, 0 to 1; null where nothing was measured.
 * @param {number[]} medians nanoseconds, one for each stage
 * @returns {number[] | null}
 */
export function shares(medians) {
  const clean = STAGES.map((_, at) => (Number.isFinite(medians?.[at]) && medians[at] > 0 ? medians[at] : 0));
  const whole = clean.reduce((sum, each) => sum + each, 0);
  return whole > 0 ? clean.map((each) => each / whole) : null;
}

/**
 * The stage that takes longest, or -1.
 * @param {number[] | null} parts
 */
export function longest(parts) {
  if (parts === null) return -1;
  return parts.reduce((best, part, at) => (part > parts[best] ? at : best), 0);
}
