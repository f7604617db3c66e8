// Numbers as people read them: three significant digits, one unit for everything that is compared.

/** @typedef {{name: string, scale: number}} Unit A unit and how many base units it has. */

/** Latencies come in nanoseconds. @type {Unit[]} */
export const LATENCY = [
  { name: "µs", scale: 1e3 },
  { name: "ms", scale: 1e6 },
  { name: "s", scale: 1e9 },
];

/** Rates come in calls a second. @type {Unit[]} */
export const RATE = [
  { name: "/s", scale: 1 },
  { name: "k/s", scale: 1e3 },
  { name: "M/s", scale: 1e6 },
];

/** One way to write numbers for every reader, as the text tables do, whatever the page's language. */
const THREE = new Intl.NumberFormat("en-US", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** What stands where nothing was measured. */
export const NOTHING = "–";

/**
 * A finite number of at least 0, else null: what came over the wire may be anything.
 * @param {unknown} value
 * @returns {number | null}
 */
export function measured(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

/**
 * Three significant digits without an exponent: 0.00512, 5.12, 51.2, 512, 51,200.
 * @param {number | null} value
 */
export function digits(value) {
  if (value === null || !Number.isFinite(value)) return NOTHING;
  // Nothing that is shown here is that small and means something.
  return Math.abs(value) < 1e-6 ? "0" : THREE.format(value);
}

/**
 * A whole number with its thousands marked: exact up to nine digits, three digits and a prefix above.
 * @param {number | null} value
 */
export function count(value) {
  if (value === null || !Number.isFinite(value)) return NOTHING;
  if (value < 1e9) return WHOLE.format(value);
  const [scale, prefix] = value < 1e12 ? [1e9, "G"] : [1e12, "T"];
  return `${digits(value / scale)} ${prefix}`;
}

/**
 * A whole number for a narrow place: exact up to five digits, three digits and a prefix above.
 * @param {number | null} value
 */
export function compact(value) {
  if (value === null || !Number.isFinite(value) || value < 99_999.5) return count(value);
  const [scale, prefix] = value < 999_500 ? [1e3, "k"] : value < 999_500_000 ? [1e6, "M"] : [1e9, "G"];
  return `${digits(value / scale)} ${prefix}`;
}

/**
 * The one unit for a column: the smallest in which the largest value stays below `limit`.
 * A unit in use is kept until it is clearly too large, so that a value at the edge does not flicker.
 * @param {(number | null)[]} values
 * @param {Unit[]} units smallest first
 * @param {Unit | null} [current] the unit in use
 * @param {number} [limit]
 * @returns {Unit}
 */
export function unitFor(values, units, current = null, limit = 1e5) {
  let largest = 0;
  for (const value of values) if (value !== null && value > largest) largest = value;
  if (largest === 0) return current ?? units[0];
  for (const unit of units) {
    if (largest / unit.scale >= limit) continue;
    const smallerThanCurrent = current !== null && unit.scale < current.scale;
    if (smallerThanCurrent && largest / unit.scale >= limit * 0.7) continue;
    return unit;
  }
  return units[units.length - 1];
}

/**
 * One value with a unit of its own.
 * @param {number | null} value
 * @param {Unit[]} units
 * @param {Unit | null} [current]
 */
export function single(value, units, current = null) {
  const unit = unitFor([value], units, current, 999.5);
  return { text: value === null ? NOTHING : digits(value / unit.scale), unit };
}

/**
 * A latency in words, for titles and descriptions.
 * @param {number | null} nanoseconds
 */
export function latency(nanoseconds) {
  const { text, unit } = single(nanoseconds, LATENCY);
  return nanoseconds === null ? text : `${text} ${unit.name}`;
}

/**
 * A time span as its two largest parts: 4 s, 2 min 05 s, 3 h 07 min, 2 d 04 h.
 * @param {number | null} milliseconds
 */
export function span(milliseconds) {
  if (milliseconds === null) return NOTHING;
  const seconds = Math.floor(milliseconds / 1000);
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
  return `${Math.floor(seconds / 86400)} d ${two(Math.floor((seconds % 86400) / 3600))} h`;
}
