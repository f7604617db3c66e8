// Percentiles of all methods together, estimated from the percentiles of each.

/**
 * @typedef {{weight: number, points: [number, number][]}} Part
 *   How many calls it stands for, and its known (quantile, nanoseconds) in rising order.
 */

/**
 * How many of a method's calls were faster than `time`, 0 to 1, logarithmic between the known points.
 * @param {[number, number][]} points
 * @param {number} time
 */
function below(points, time) {
  if (time < points[0][1]) return 0;
  for (let at = 1; at < points.length; at += 1) {
    const [q0, t0] = points[at - 1];
    const [q1, t1] = points[at];
    if (time >= t1) continue;
    return q0 + ((q1 - q0) * Math.log(time / t0)) / Math.log(t1 / t0);
  }
  return 1;
}

/**
 * The known points of one method, made monotonic; null where it has none.
 * @param {{p50: number, p90: number, p99: number, p999: number, max: number}} row nanoseconds
 * @returns {[number, number][] | null}
 */
export function points(row) {
  if (!(row.p50 > 0)) return null;
  // Nothing is known below the median; half of it as the fastest is right within a factor of two.
  /** @type {[number, number][]} */
  const known = [[0, row.p50 / 2]];
  for (const [quantile, time] of [[0.5, row.p50], [0.9, row.p90], [0.99, row.p99], [0.999, row.p999], [1, row.max]]) {
    known.push([quantile, Math.max(Number.isFinite(time) ? time : 0, known[known.length - 1][1])]);
  }
  return known;
}

/**
 * The time below which `quantile` of all calls stay. Exact where only one method has calls.
 * @param {Part[]} parts
 * @param {number} quantile one of 0.5, 0.9, 0.99, 0.999 for an exact answer from one part
 * @returns {number | null} nanoseconds
 */
export function percentile(parts, quantile) {
  const used = parts.filter((part) => part.weight > 0);
  if (used.length === 0) return null;
  if (used.length === 1) {
    const known = used[0].points.find(([q]) => q === quantile);
    if (known) return known[1];
  }
  const whole = used.reduce((sum, part) => sum + part.weight, 0);
  let low = Math.min(...used.map((part) => part.points[0][1]));
  let high = Math.max(...used.map((part) => part.points[part.points.length - 1][1]));
  for (let step = 0; step < 40 && high / low > 1.0005; step += 1) {
    const middle = Math.sqrt(low * high);
    const share = used.reduce((sum, part) => sum + part.weight * below(part.points, middle), 0) / whole;
    if (share < quantile) low = middle;
    else high = middle;
  }
  return high;
}
