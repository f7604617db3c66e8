import assert from "node:assert/strict";
import { test } from "node:test";
import { LANES, place } from "../src/marks.js";
import { percentile, points } from "../src/mixture.js";
import { longest, shares } from "../src/stages.js";
import { luminance } from "../src/theme.js";

const method = (p50, factor = 2) => points({ p50, p90: p50 * factor, p99: p50 * factor ** 2, p999: p50 * factor ** 3, max: p50 * factor ** 4 });

test("one method's percentiles are its own", () => {
  const parts = [{ weight: 5, points: method(1000) }, { weight: 0, points: method(1e9) }];
  assert.equal(percentile(parts, 0.5), 1000);
  assert.equal(percentile(parts, 0.99), 4000);
  assert.equal(percentile([], 0.5), null);
});

test("of two methods, each counts by its calls", () => {
  const fast = method(10_000);
  const slow = method(10_000_000);
  const p50 = percentile([{ weight: 99, points: fast }, { weight: 1, points: slow }], 0.5);
  assert.ok(p50 > 9_000 && p50 < 12_000);
  const p99 = percentile([{ weight: 90, points: fast }, { weight: 10, points: slow }], 0.99);
  assert.ok(p99 > 10_000_000 && p99 < 30_000_000);
});

test("percentiles out of order or missing do no harm", () => {
  assert.equal(points({ p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }), null);
  const known = points({ p50: 100, p90: 50, p99: NaN, p999: 400, max: 300 });
  assert.deepEqual(known.map(([, time]) => time), [50, 100, 100, 100, 400, 400]);
  assert.ok(Number.isFinite(percentile([{ weight: 1, points: known }, { weight: 1, points: method(500) }], 0.99)));
});

test("stages share the whole", () => {
  const parts = shares([1, 0, 0, 1, 6, NaN, -5]);
  assert.deepEqual(parts, [0.125, 0, 0, 0.125, 0.75, 0, 0]);
  assert.equal(longest(parts), 4);
  assert.equal(shares([0, 0, 0, 0, 0, 0, 0]), null);
  assert.equal(shares(undefined), null);
  assert.equal(longest(null), -1);
});

test("labels cover none another; where there is no room the oldest goes without", () => {
  const marks = Array.from({ length: LANES + 1 }, (_, at) => ({ at, label: "policy_step v2" }));
  const placed = place(marks, (at) => 300 + at, 400);
  assert.deepEqual(placed.map(({ lane }) => lane), [-1, 2, 1, 0]);
  assert.deepEqual(placed.map(({ side }) => side), ["right", "right", "right", "right"]);
  const [far] = place([{ at: 1, label: "a v2" }], () => 401, 400);
  assert.equal(far.side, "left");
});

test("light and dark backgrounds", () => {
  assert.equal(luminance("rgb(255, 255, 255)"), 1);
  assert.ok(luminance("rgb(17, 17, 17)") < 0.01);
  assert.equal(luminance("nonsense"), 1);
});
