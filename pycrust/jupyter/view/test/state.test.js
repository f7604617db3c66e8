import assert from "node:assert/strict";
import { test } from "node:test";
import { State, condition, events, points } from "../src/base/state.js";

const row = (version, calls) => [version, calls, 1, 2, 50, 90, 99, 999, 1000, 1, 2, 3, 4, 5, 6, 7];
const head = { serving: true, at: 5000, up: 7000, clients: 2, spin: 0, rhythm: [1, 97, 3, 12], trip: [1, 2], wait: [3, 4], recent: [5, 6], unknown: 0, malformed: 0 };
const snapshot = (seq) => ({ kind: "snapshot", seq, endpoint: "e", pid: 9, names: ["a", "b"], rows: [row(1, 10), row(2, 20)], ...head });

test("a snapshot, then an update of one row", () => {
  const state = new State();
  assert.equal(state.take(snapshot(4)), "changed");
  assert.equal(state.take({ kind: "update", seq: 5, rows: [[1, ...row(3, 25)]], ...head, at: 6000 }), "changed");
  assert.deepEqual(state.endpoint.methods.map((m) => [m.name, m.version, m.calls]), [["a", 1, 10], ["b", 3, 25]]);
  assert.deepEqual(state.endpoint.methods[1].stages, [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(state.endpoint.at, 6);
  assert.deepEqual([state.endpoint.trip, state.endpoint.wait, state.endpoint.recent], [[1, 2], [3, 4], [5, 6]]);
  assert.deepEqual(state.endpoint.rhythm, [1, 97, 3, 12]);
});

test("a missing message is noticed, an old one ignored", () => {
  const state = new State();
  assert.equal(state.take({ kind: "update", seq: 1, rows: [], ...head }), "gap");
  state.take(snapshot(4));
  assert.equal(state.take({ kind: "update", seq: 4, rows: [[0, ...row(9, 9)]], ...head }), "ignored");
  assert.equal(state.take({ kind: "update", seq: 6, rows: [], ...head }), "gap");
  assert.equal(state.endpoint.methods[0].version, 1);
  assert.equal(state.take(snapshot(6)), "changed");
});

test("nonsense is taken as zeros or left out", () => {
  const state = new State();
  assert.equal(state.take(undefined), "ignored");
  assert.equal(state.take({ kind: "other" }), "ignored");
  state.take({ kind: "snapshot", seq: 1, names: ["a"], rows: [[NaN, "x", -3]] });
  assert.deepEqual([state.endpoint.methods[0].version, state.endpoint.methods[0].errors], [0, 0]);
  state.take({ kind: "update", seq: 2, rows: [], rhythm: ["x", 4] });
  assert.deepEqual(state.endpoint.rhythm, [0, 4, 0, 0]);
  assert.equal(state.take({ kind: "update", seq: 3, rows: [[7, 1], null, "x"] }), "changed");
  assert.equal(state.endpoint.methods.length, 1);
});

test("what the view says about itself", () => {
  const live = { known: true, ended: false, cut: false, serving: true, silentMs: 100 };
  assert.equal(condition(live), "live");
  assert.equal(condition({ ...live, silentMs: 2100 }), "stale");
  assert.equal(condition({ ...live, serving: false, silentMs: 60_000 }), "stopped");
  assert.equal(condition({ ...live, known: false }), "waiting");
  assert.equal(condition({ ...live, cut: true }), "cut");
  assert.equal(condition({ ...live, cut: true, ended: true }), "disconnected");
});

test("points and events of a message, and of nonsense", () => {
  assert.deepEqual(points({ points: [[2000, 5, 0, null, 7], "x"] }), [{ at: 2, rate: 5, errors: 0, p50: null, p99: 7 }]);
  assert.deepEqual(events({ events: [[1, 2000, "swap", "a v2", ["a"], [[1000, "x"], 4]], 3, [2, 0, "client", "b"]] }), [
    { number: 1, at: 2, kind: "swap", text: "a v2", marks: ["a"], parts: [{ at: 1, text: "x" }] },
    { number: 2, at: 0, kind: "client", text: "b", marks: [], parts: [] },
  ]);
  for (const nonsense of [undefined, {}, { points: 5, events: "x" }]) assert.deepEqual([points(nonsense), events(nonsense)], [[], []]);
});

test("models stay as they were said last", () => {
  const state = new State();
  state.take({ ...snapshot(1), models: [["policy", 2, "live", "Linear", 4096, ""], "x"] });
  state.take({ kind: "update", seq: 2, rows: [], ...head });
  assert.deepEqual(state.endpoint.models, [["policy", 2, "live", "Linear", 4096, ""]]);
  state.take({ kind: "update", seq: 3, rows: [], ...head, models: [] });
  assert.deepEqual(state.endpoint.models, []);
});

test("what a message does not name stays as it was", () => {
  const state = new State();
  state.take({ ...snapshot(1), rebound: { a: ["offset"] }, recording: { on: true } });
  state.take({ kind: "update", seq: 2, rows: [], at: 6000, trip: [7, 8] });
  const { serving, at, up, clients, trip, wait, rebound, recording } = state.endpoint;
  assert.deepEqual([serving, at, up, clients, trip, wait], [true, 6, 7000, 2, [7, 8], [3, 4]]);
  assert.deepEqual([rebound, recording], [{ a: ["offset"] }, { on: true }]);
  state.take({ kind: "update", seq: 3, rows: [], rebound: {} });
  assert.deepEqual(state.endpoint.rebound, {});
});
