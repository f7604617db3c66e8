import assert from "node:assert/strict";
import { test } from "node:test";
import { LANES, place } from "../src/parts/marks.js";
import { number } from "../src/calls/recording.js";
import { longest, shares } from "../src/base/stages.js";
import { luminance } from "../src/base/theme.js";

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

test("what is typed as a number is one, and what is not stays for the kernel to refuse", () => {
  assert.deepEqual(["500", " 2,000 ", "0.5", "", "5x", "-1"].map(number), [500, 2000, 0.5, "", "5x", -1]);
});
