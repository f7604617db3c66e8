import assert from "node:assert/strict";
import { test } from "node:test";
import { LATENCY, RATE, compact, count, digits, latency, measured, single, span, unitFor } from "../src/base/format.js";
import { memory } from "../src/parts/models.js";

test("three significant digits, whatever the size", () => {
  const shown = [0.00512, 0.0512, 5.123, 51.23, 512.3, 999.4, 999.6, 5123, 51234, 0].map(digits);
  assert.deepEqual(shown, ["0.00512", "0.0512", "5.12", "51.2", "512", "999", "1,000", "5,120", "51,200", "0"]);
});

test("what is no number is a dash, never NaN", () => {
  for (const value of [NaN, Infinity, null]) assert.equal(digits(value), "–");
  for (const value of [NaN, Infinity, -1, "5", null, undefined, {}]) assert.equal(measured(value), null);
  assert.equal(measured(0), 0);
});

test("counts are exact up to nine digits", () => {
  assert.deepEqual([0, 999, 1000, 999999999, 1234567890, 2e12, NaN].map(count),
    ["0", "999", "1,000", "999,999,999", "1.23 G", "2.00 T", "–"]);
});

test("counts in narrow places", () => {
  assert.deepEqual([0, 99_999, 100_000, 999_499, 999_500, 12_345_678, 5e9, null].map(compact),
    ["0", "99,999", "100 k", "999 k", "1.00 M", "12.3 M", "5.00 G", "–"]);
});

test("a column has the unit of its largest value", () => {
  assert.equal(unitFor([5e3, 48e6], LATENCY).name, "µs");
  assert.equal(unitFor([5e3, 480e6], LATENCY).name, "ms");
  assert.equal(unitFor([null, null], LATENCY).name, "µs");
  assert.equal(unitFor([2e14], LATENCY).name, "s");
});

test("a unit in use is kept at the edge", () => {
  const milliseconds = LATENCY[1];
  assert.equal(unitFor([90e6], LATENCY, milliseconds).name, "ms");
  assert.equal(unitFor([60e6], LATENCY, milliseconds).name, "µs");
  assert.equal(unitFor([0], LATENCY, milliseconds).name, "ms");
});

test("single values", () => {
  assert.equal(latency(5120), "5.12 µs");
  assert.equal(latency(3.4e6), "3.40 ms");
  assert.equal(latency(null), "–");
  const rate = single(48213, RATE);
  assert.deepEqual([rate.text, rate.unit.name], ["48.2", "k/s"]);
});

test("time spans", () => {
  assert.deepEqual([0, 59_999, 125_000, 11_220_000, 187_200_000, null].map(span),
    ["0 s", "59 s", "2 min 05 s", "3 h 07 min", "2 d 04 h", "–"]);
});

test("memory in binary units", () => {
  assert.deepEqual([0, 999, 4096, 1.5 * 2 ** 20, 80 * 2 ** 30, null].map(memory), ["0 B", "999 B", "4.00 KiB", "1.50 MiB", "80.0 GiB", "memory unknown"]);
});
