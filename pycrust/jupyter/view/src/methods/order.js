// Which rows the table of methods has, and in which order: what hurts stands on top, what idles or belongs together is folded.

/**
 * What a row says of a method, or a group of all of its methods.
 * @typedef {object} Numbers
 * @property {number | null} rate calls a second
 * @property {number | null} errorRate errors a second
 * @property {number | null} p50 nanoseconds
 * @property {number | null} p99 nanoseconds; a group's is its slowest method's
 * @property {number} calls
 * @property {number} errors
 * @property {number} inFlight
 */

/** @typedef {Numbers & {place: number, name: string, version: number, idle: boolean}} Shown */

/**
 * @typedef {{kind: "method", key: string, one: Shown, inside: boolean}} MethodLine
 * @typedef {{kind: "group", key: string, prefix: string, methods: number, open: boolean, numbers: Numbers}} GroupLine
 * @typedef {{kind: "idle", key: string, methods: number, open: boolean}} IdleLine
 * @typedef {MethodLine | GroupLine | IdleLine} Line
 */

/** So few methods are all shown, each by itself. */
export const FEW = 8;
/** So many with the same beginning are a group. */
const GROUP = 3;
/** Groups stay open while no more lines than this are shown. */
const ROOM = 12;

/** @typedef {"hurt" | "name" | "version" | "rate" | "calls" | "errors" | "inFlight" | "p50" | "p99"} Key */

/**
 * How much a method's callers suffer, in seconds a second: what the slowest hundredth of them would wait in all if each did,
 * and a second for each call that fails.
 * @param {Numbers} numbers
 */
export function hurt({ rate, errorRate, p99 }) {
  return (errorRate ?? 0) + ((rate ?? 0) * (p99 ?? 0)) / 1e9;
}

/**
 * What a group says of its methods.
 * @param {Shown[]} methods
 * @returns {Numbers}
 */
export function together(methods) {
  const sum = (/** @type {(one: Shown) => number | null} */ of) => {
    const known = methods.map(of).filter((value) => value !== null);
    return known.length === 0 ? null : known.reduce((all, value) => all + value, 0);
  };
  const slowest = methods.reduce((most, { p99 }) => Math.max(most, p99 ?? 0), 0);
  return {
    rate: sum(({ rate }) => rate),
    errorRate: sum(({ errorRate }) => errorRate),
    p50: null,
    p99: slowest > 0 ? slowest : null,
    calls: sum(({ calls }) => calls) ?? 0,
    errors: sum(({ errors }) => errors) ?? 0,
    inFlight: sum(({ inFlight }) => inFlight) ?? 0,
  };
}

/**
 * The beginning that methods of a kind share: up to the first point, slash or colon, with it.
 * @param {string} name
 */
export function prefixOf(name) {
  return /^[^./:]+(?:\.|\/|::?)(?=.)/.exec(name)?.[0] ?? "";
}

/**
 * Whether a name has each of the words that were typed, in any case.
 * @param {string} name
 * @param {string} typed
 */
export function matches(name, typed) {
  const low = name.toLowerCase();
  return typed.toLowerCase().split(/\s+/).every((word) => low.includes(word));
}

/** @param {Key} by */
const reader = (by) => (/** @type {Numbers & {name: string, version: number, hurt?: number}} */ one) => {
  if (by === "hurt") return one.hurt ?? hurt(one);
  return one[by];
};

/**
 * Puts in order by a column; the same values by name, what is not known last.
 * @param {Key} by
 * @param {boolean} down
 */
function compare(by, down) {
  const value = reader(by);
  return (/** @type {any} */ a, /** @type {any} */ b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return left === right ? names(a, b) : left === null ? 1 : -1;
    const order = typeof left === "string" ? names(a, b) : left - Number(right);
    return (down ? -order : order) || names(a, b);
  };
}

/** @param {{name: string}} a @param {{name: string}} b */
const names = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/**
 * The lines of the table.
 * @param {Shown[]} methods
 * @param {{by: Key, down: boolean, find: string, open: Map<string, boolean>}} wish `open`: what the reader has opened or folded
 * @returns {Line[]}
 */
export function lines(methods, { by, down, find, open }) {
  const order = compare(by, down);
  const line = (/** @type {Shown} */ one, inside = false) => /** @type {MethodLine} */ ({ kind: "method", key: one.name, one, inside });
  if (find.trim() !== "") return methods.filter(({ name }) => matches(name, find.trim())).sort(order).map((one) => line(one));
  const busy = methods.filter((one) => !one.idle);
  if (methods.length <= FEW || busy.length === 0) return [...methods].sort(order).map((one) => line(one));

  const idle = methods.filter((one) => one.idle);
  /** @type {Map<string, Shown[]>} */
  const kinds = new Map();
  for (const one of busy) {
    const prefix = prefixOf(one.name);
    kinds.set(prefix, [...(kinds.get(prefix) ?? []), one]);
  }
  /** @type {(Numbers & {name: string, version: number, hurt: number, one: Shown | null, members: Shown[]})[]} */
  const top = [];
  for (const [prefix, members] of kinds) {
    if (prefix !== "" && members.length >= GROUP) {
      const all = members.reduce((sum, one) => sum + hurt(one), 0);
      top.push({ ...together(members), name: prefix, version: 0, hurt: all, one: null, members: members.sort(order) });
    } else for (const one of members) top.push({ ...one, hurt: hurt(one), one, members: [] });
  }
  const room = busy.length + top.filter(({ one }) => one === null).length <= ROOM;
  const found = top.sort(order).flatMap((one) => {
    if (one.one !== null) return [line(one.one)];
    const key = `${one.name}…`;
    const shown = open.get(key) ?? room;
    const head = /** @type {GroupLine} */ ({ kind: "group", key, prefix: one.name, methods: one.members.length, open: shown, numbers: one });
    return [head, ...(shown ? one.members.map((member) => line(member, true)) : [])];
  });
  if (idle.length === 0) return found;
  const shown = open.get("idle") ?? false;
  return [
    ...found,
    { kind: "idle", key: "idle", methods: idle.length, open: shown },
    ...(shown ? idle.sort(compare("name", false)).map((one) => line(one)) : []),
  ];
}
