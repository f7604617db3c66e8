import assert from "node:assert/strict";
import { test } from "node:test";
import { History, SHOWN_S } from "../src/history.js";

const method = (name, calls, version = 1) => ({
  name, version, calls, errors: 0, inFlight: 0, p50: 10_000, p90: 20_000, p99: 30_000, p999: 40_000, max: 50_000, stages: [],
});
const at = (seconds, methods, pid = 1) => ({ endpoint: "e", pid, serving: true, at: seconds, up: 0, clients: 0, unknown: 0, malformed: 0, methods });

test("rates are differences of totals", () => {
  const history = new History();
  history.add(at(100, [method("a", 1000)]));
  assert.equal(history.rate("a"), null);
  for (let step = 1; step <= 20; step += 1) history.add(at(100 + step / 5, [method("a", 1000 + step * 10)]));
  assert.ok(Math.abs(history.rate("a") - 50) < 1e-6);
  assert.ok(Math.abs(history.totalRate() - 50) < 1e-6);
  assert.equal(history.shown.at(-1).p99, 30_000);
});

test("no calls: a rate of 0 and no percentiles", () => {
  const history = new History();
  for (let step = 0; step < 40; step += 1) history.add(at(step / 5, [method("a", 7)]));
  assert.equal(history.rate("a"), 0);
  assert.deepEqual([history.shown.at(-1).p50, history.shown.at(-1).p99], [null, null]);
});

test("a version change is marked once, a new method is not", () => {
  const history = new History();
  history.add(at(1, [method("a", 0)]));
  history.add(at(2, [method("a", 0), method("b", 0)]));
  history.add(at(3, [method("a", 0, 2), method("b", 0)]));
  history.add(at(4, [method("a", 0, 2), method("b", 0)]));
  assert.deepEqual(history.marks, [{ at: 3, label: "a v2" }]);
});

test("many changes at once are one mark", () => {
  const history = new History();
  const names = ["a", "b", "c", "d", "e"];
  history.add(at(1, names.map((name) => method(name, 0))));
  history.add(at(2, names.map((name) => method(name, 0, 2))));
  assert.deepEqual(history.marks, [{ at: 2, label: "a v2, b v2, 3 more" }]);
});

test("only the last minute is kept", () => {
  const history = new History();
  for (let step = 0; step < 1000; step += 1) history.add(at(step / 5, [method("a", step, 1 + Math.floor(step / 100))]));
  assert.ok(history.shown.length <= (SHOWN_S + 1) * 5 + 1);
  assert.ok(history.samples.length < 60);
  assert.ok(history.marks.every((mark) => mark.at >= 199.8 - SHOWN_S));
});

test("a restarted worker's totals are not subtracted", () => {
  const history = new History();
  history.add(at(1, [method("a", 5000)]));
  history.add(at(2, [method("a", 10)], 2));
  assert.equal(history.rate("a"), null);
  history.add(at(3, [method("a", 5)], 2));
  assert.equal(history.rate("a"), null);
  assert.equal(history.shown.every((point) => point.rate === null || point.rate >= 0), true);
});
