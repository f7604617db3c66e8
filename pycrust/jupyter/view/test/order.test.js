import assert from "node:assert/strict";
import { test } from "node:test";
import { hurt, lines, matches, prefixOf } from "../src/methods/order.js";

const method = (name, more = {}) => ({
  place: 0, name, version: 1, rate: 1, errorRate: 0, p50: 1e5, p99: 1e6, calls: 10, errors: 0, inFlight: 0, idle: false, ...more,
});
const wish = (more = {}) => ({ by: "hurt", down: true, find: "", open: new Map(), ...more });
const keys = (found) => found.map(({ key }) => key);
const many = (count, more) => Array.from({ length: count }, (_, at) => method(`m${String(at).padStart(4, "0")}`, more?.(at)));

test("errors hurt, and slow calls by how many there are", () => {
  assert.ok(hurt(method("a", { errorRate: 1 })) > hurt(method("b", { rate: 100, p99: 1e6 })));
  assert.ok(hurt(method("a", { rate: 100 })) > hurt(method("b", { rate: 10 })));
  assert.equal(hurt(method("a", { rate: null, errorRate: null })), 0);
  assert.deepEqual(keys(lines([method("a"), method("b", { p99: 1e9 }), method("c", { errorRate: 5 })], wish())), ["c", "b", "a"]);
});

test("each column sorts both ways, and what is not known comes last", () => {
  const few = [method("a", { p50: null }), method("b", { p50: 5, calls: 1 }), method("c", { p50: 9, calls: 3 })];
  assert.deepEqual(keys(lines(few, wish({ by: "p50" }))), ["c", "b", "a"]);
  assert.deepEqual(keys(lines(few, wish({ by: "p50", down: false }))), ["b", "c", "a"]);
  assert.deepEqual(keys(lines(few, wish({ by: "name", down: true }))), ["c", "b", "a"]);
  assert.deepEqual(keys(lines(few, wish({ by: "calls" }))), ["a", "c", "b"]);
});

test("idle methods of many are folded, and all shown where nobody calls any", () => {
  const some = many(41, (at) => ({ idle: at >= 10 }));
  const found = lines(some, wish());
  assert.equal(found.length, 11);
  assert.deepEqual(found[10], { kind: "idle", key: "idle", methods: 31, open: false });
  assert.equal(lines(some, wish({ open: new Map([["idle", true]]) })).length, 42);
  assert.equal(lines(many(41, () => ({ idle: true })), wish()).length, 41);
  assert.equal(lines(many(5, () => ({ idle: true })), wish()).length, 5);
});

test("methods with one beginning are a group with their sums, which stands where its sums put it", () => {
  const data = ["book", "depth", "trades"].map((name) => method(`market_data.${name}`, { rate: 10, errors: 1, inFlight: 2, p99: 5e6 }));
  const slow = method("market_data.slow", { p99: 1e9, rate: 10 });
  const all = [...many(12), ...data, slow, method("orders.place"), method("orders.cancel")];
  const found = lines(all, wish());
  const [group] = found;
  assert.equal(group.kind, "group");
  assert.deepEqual([group.prefix, group.methods, group.open], ["market_data.", 4, false]);
  const { rate, errors, inFlight, p50, p99 } = group.numbers;
  assert.deepEqual([rate, errors, inFlight, p50, p99], [40, 3, 6, null, 1e9]);
  assert.equal(found.length, 1 + 12 + 2, "two are no group");
  const opened = lines(all, wish({ open: new Map([[group.key, true]]) }));
  assert.deepEqual(keys(opened.slice(1, 3)), ["market_data.slow", "market_data.book"]);
  assert.ok(opened[1].inside);
  assert.ok(lines([...data, slow, ...many(6)], wish())[0].open, "where there is room it is open");
  // The slowest one's time is not all methods': ten a second at a second each, and a thousand at a millisecond.
  const fast = ["x", "y"].map((name) => method(`market_data.${name}`, { rate: 500, p99: 1e6 }));
  assert.equal(lines([...many(12), slow, ...fast, method("worse", { rate: 12, p99: 1e9 })], wish())[0].key, "worse");
});

test("what is typed finds by words, in groups and among the idle", () => {
  const all = [...many(20, () => ({ idle: true })), ...["a", "b", "c"].map((name) => method(`market.${name}_Snapshot`))];
  assert.deepEqual(keys(lines(all, wish({ find: " snap MARKET.b " }))), ["market.b_Snapshot"]);
  assert.deepEqual(keys(lines(all, wish({ find: "m0013" }))), ["m0013"]);
  assert.ok(!matches("abc", "ab d"));
});

test("a beginning ends with the first point, slash or colon", () => {
  assert.deepEqual(["a.b.c", "a/b", "a::b", "a:b", "a_b", ".a", "a."].map(prefixOf), ["a.", "a/", "a::", "a:", "", "", ""]);
});
