import assert from "node:assert/strict";
import { test } from "node:test";
import { History, LINES, SHOWN_S } from "../src/base/history.js";

const method = (name, calls, version = 1) => ({
  name, version, calls, errors: 0, inFlight: 0, p50: 10_000, p90: 20_000, p99: 30_000, p999: 40_000, max: 50_000, stages: [],
});
const at = (seconds, methods, pid = 1) => ({
  endpoint: "e", pid, serving: true, at: seconds, up: 0, clients: 0, unknown: 0, malformed: 0, methods, names: methods.map(({ name }) => name),
});
const point = (seconds, rate = 5) => ({ at: seconds, rate, errors: 0, p50: 10, p99: 20 });
const swap = (number, seconds, mark) => ({ number, at: seconds, kind: "swap", text: mark, marks: mark === "" ? [] : [mark], parts: [] });

test("points are taken once and in order; the lines break where nobody looked", () => {
  const history = new History();
  history.add(at(100, []), [point(99), point(99.2)]);
  history.add(at(100, []), [point(99.2), point(99), point(100)]);
  history.add(at(110, []), [point(110)]);
  assert.deepEqual(history.shown.map((each) => each.rate), [5, 5, 5, null, 5]);
});

test("only the last minute is kept", () => {
  const history = new History();
  for (let step = 0; step < 1000; step += 1) history.add(at(step / 5, []), [point(step / 5)], [swap(step, step / 5, `a v${step}`)]);
  assert.ok(history.shown.length <= (SHOWN_S + 1) * 5 + 1);
  assert.ok(history.marks.every((mark) => mark.at >= 199.8 - SHOWN_S));
  assert.equal(history.events.size, LINES);
  assert.ok(history.events.has(999));
});

test("changes at once are one mark, and a line that is said again replaces itself", () => {
  const history = new History();
  history.add(at(10, []), [], [swap(1, 9, "a v2"), { ...swap(2, 9, ""), text: "client gone" }]);
  assert.deepEqual(history.marks, [{ at: 9, label: "a v2" }]);
  const many = { ...swap(3, 9.1, "b v2"), marks: ["b v2", "c v2", "d v2", "e v2"] };
  history.add(at(10.2, []), [], [many, { ...swap(2, 9, ""), text: "2 clients gone" }]);
  assert.deepEqual(history.marks, [{ at: 9, label: "a v2, b v2, 3 more" }]);
  assert.equal(history.events.get(2).text, "2 clients gone");
});

test("another worker's totals are not subtracted", () => {
  const history = new History();
  history.add(at(1, [method("a", 5000)]), [point(1)]);
  history.add(at(2, [method("a", 10)], 2));
  assert.equal(history.rates.rate("calls", 0), null);
  assert.equal(history.shown.length, 0);
  history.add(at(3, [method("a", 5)], 2));
  assert.equal(history.rates.rate("calls", 0), null);
});
