import assert from "node:assert/strict";
import { test } from "node:test";
import { BUCKETS, Rates } from "../src/base/rates.js";

const method = (name, calls, { errors = 0, inFlight = 0 } = {}) => ({ name, calls, errors, inFlight });
const at = (seconds, ...methods) => ({ at: seconds, methods, names: methods.map(({ name }) => name) });

test("rates are differences of totals over a second", () => {
  const rates = new Rates();
  rates.add(at(100, method("a", 1000)));
  assert.equal(rates.rate("calls", 0), null);
  for (let step = 1; step <= 20; step += 1) rates.add(at(100 + step / 5, method("a", 1000 + step * 10, { errors: step })));
  assert.ok(Math.abs(rates.rate("calls", 0) - 50) < 1e-6);
  assert.ok(Math.abs(rates.rate("errors", 0) - 5) < 1e-6);
  assert.ok(rates.samples.length < 10);
  assert.equal(rates.rate("calls", 1), null);
});

test("a method that comes leaves what is known of the others", () => {
  const rates = new Rates();
  for (let step = 0; step <= 50; step += 1) rates.add(at(100 + step / 5, method("b", step)));
  rates.add(at(110.2, method("a", 0), method("b", 51)));
  assert.equal(rates.line(0).reduce((sum, value) => sum + value, 0), 0);
  assert.equal(rates.line(1).reduce((sum, value) => sum + value, 0), 50);
  assert.equal(rates.idle(1, method("b", 51)), false);
  assert.equal(rates.idle(0, method("a", 0)), true);
});

test("a line has a bucket for each of the last seconds", () => {
  const rates = new Rates();
  for (let step = 0; step <= 5 * 100; step += 1) rates.add(at(step / 5, method("a", Math.min(step, 450))));
  const line = rates.line(0);
  assert.equal(line.length, BUCKETS);
  assert.deepEqual(line.slice(-12), [5, 5, ...Array(10).fill(0)]);
  assert.ok(line.slice(0, 48).every((calls) => calls === 5));
});

test("who is called is not idle, nor for a while who was called before anybody looked", () => {
  const rates = new Rates();
  const look = (seconds, calls) => rates.add(at(seconds, method("a", calls), method("b", 7), method("c", 0)));
  look(100, 1);
  const idle = (place, calls, more) => rates.idle(place, method("", calls, more));
  assert.deepEqual([idle(0, 1), idle(1, 7), idle(2, 0)], [false, false, true]);
  look(105, 2);
  look(112, 2);
  assert.deepEqual([idle(0, 2), idle(1, 7), idle(2, 0)], [false, true, true]);
  assert.equal(idle(1, 7, { inFlight: 1 }), false);
  look(116, 2);
  assert.equal(idle(0, 2), true);
});

test("totals that went backwards are another worker's", () => {
  const rates = new Rates();
  rates.add(at(1, method("a", 5)));
  rates.add(at(2, method("a", 3)));
  assert.equal(rates.rate("calls", 0), null);
  rates.add(at(3, method("a", 4)));
  assert.equal(rates.rate("calls", 0), 1);
});
