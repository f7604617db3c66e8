// One sentence that says whether the endpoint is well, and what to do where it is not.
import { count, latency, span } from "../base/format.js";

/** From here on a wait for the interpreter is worth a word, nanoseconds. */
const LONG_WAIT_NS = 5e6;

/**
 * @param {import("../base/state.js").Endpoint | null} endpoint
 * @param {ReturnType<typeof import("../base/state.js").condition>} condition
 * @param {number} silentMs
 * @returns {{health: "unknown" | "bad" | "slow" | "empty" | "idle" | "well", words: string}}
 */
export function health(endpoint, condition, silentMs) {
  if (condition === "cut") {
    return { health: "bad", words: "The notebook server is out of reach: the numbers are old. Updates go on when it is back." };
  }
  if (condition === "disconnected") {
    return { health: "bad", words: "Stale: the kernel has gone, the numbers are its last. Run this cell again." };
  }
  if (condition === "waiting" || endpoint === null) {
    return { health: "unknown", words: "Waiting for the kernel's first answer." };
  }
  if (condition === "stale") {
    return {
      health: "bad",
      words: `No update for ${span(silentMs)}: something in the kernel holds Python's interpreter lock, or the kernel is stopped. The numbers are old.`,
    };
  }
  if (condition === "stopped") return { health: "unknown", words: "Not serving: callers get UNAVAILABLE. endpoint.serve() serves." };
  const [calls, errors] = endpoint.recent;
  if (errors > 0) {
    return { health: "bad", words: `Failing: ${count(errors)} of ${count(Math.max(calls, errors))} calls of the last 10 s ended in an error.` };
  }
  if (endpoint.wait[1] > LONG_WAIT_NS && endpoint.wait[1] > endpoint.trip[1] / 3) {
    return { health: "slow", words: `Slow: calls wait up to ${latency(endpoint.wait[1])} (p99) for the interpreter, which a cell or an extension holds.` };
  }
  if (endpoint.methods.length === 0) {
    return { health: "empty", words: "Empty: no methods yet. Put @endpoint.register() above a function and run its cell." };
  }
  if (calls === 0) {
    const never = endpoint.methods.every((method) => method.calls === 0);
    const words = never ? `No calls yet. In Rust: RpcClient::connect("${endpoint.endpoint}").await?` : "Idle: no calls in the last 10 s.";
    return { health: "idle", words };
  }
  return { health: "well", words: "Healthy: no errors in the last 10 s." };
}
