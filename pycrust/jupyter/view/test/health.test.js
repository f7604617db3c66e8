import assert from "node:assert/strict";
import { test } from "node:test";
import { health } from "../src/parts/health.js";

const endpoint = (more) => ({
  endpoint: "e", methods: [{ name: "a", calls: 5 }], recent: [5, 0], wait: [1e3, 2e3], trip: [1e4, 2e4], ...more,
});

test("each state has words of its own", () => {
  const states = [
    [endpoint(), "live", "well", /^Healthy/],
    [endpoint({ recent: [100, 3] }), "live", "bad", /^Failing: 3 of 100/],
    [endpoint({ wait: [1e6, 1e8], trip: [2e6, 2e8] }), "live", "slow", /^Slow: .*100 ms.*interpreter/],
    [endpoint({ methods: [], recent: [0, 0] }), "live", "empty", /^Empty/],
    [endpoint({ recent: [0, 0] }), "live", "idle", /^Idle/],
    [endpoint({ recent: [0, 0], methods: [{ name: "a", calls: 0 }] }), "live", "idle", /^No calls yet/],
    [endpoint(), "stale", "bad", /interpreter lock/],
    [endpoint(), "stopped", "unknown", /^Not serving/],
    [endpoint(), "cut", "bad", /server/],
    [endpoint(), "disconnected", "bad", /^Stale: the kernel has gone/],
    [null, "waiting", "unknown", /^Waiting/],
  ];
  for (const [given, condition, expected, words] of states) {
    const said = health(given, condition, 4000);
    assert.equal(said.health, expected);
    assert.match(said.words, words);
  }
  assert.equal(new Set(states.map(([given, condition]) => health(given, condition, 4000).words)).size, states.length);
});
