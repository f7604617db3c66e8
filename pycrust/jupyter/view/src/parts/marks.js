// Where the labels of version changes go, so that none covers another.

/** Pixels of one character of a label, about, and of its padding. */
const CHARACTER_PX = 6.6;
const PADDING_PX = 12;
/** The style sheet cuts labels there. */
const WIDEST_PX = 180;
/** Labels stand in this many lanes, one below the other. */
export const LANES = 3;

/**
 * Places each mark's label in the first lane where it covers none before it. A label past the middle reads to
 * the left of its line, so that the edge does not cut it.
 * @param {{at: number, label: string}[]} marks oldest first
 * @param {(at: number) => number} pixels
 * @param {number} middle pixels
 * @returns {{x: number, side: "left" | "right", lane: number}[]} lane -1: no room, the line stands alone
 */
export function place(marks, pixels, middle) {
  /** @type {[number, number][][]} */
  const taken = Array.from({ length: LANES }, () => []);
  const placed = [];
  // The newest first: where there is no room, an older label goes.
  for (const mark of marks.toReversed()) {
    const x = pixels(mark.at);
    const width = Math.min(mark.label.length * CHARACTER_PX + PADDING_PX, WIDEST_PX);
    const side = x > middle ? "left" : "right";
    const [from, to] = side === "left" ? [x - width, x] : [x, x + width];
    const lane = taken.findIndex((spans) => spans.every(([start, end]) => to < start || from > end));
    if (lane >= 0) taken[lane].push([from, to]);
    placed.push({ x, side: /** @type {"left" | "right"} */ (side), lane });
  }
  return placed.reverse();
}
