// The lines above the tiles: which endpoint, in which state, whether it is well, and what the view knows about itself.
import { element, write, attribute } from "../base/dom.js";
import { span } from "../base/format.js";
import { health } from "./health.js";

/** What each condition is called. */
const WORDS = {
  waiting: "waiting",
  live: "live",
  stopped: "not serving",
  stale: "stale",
  cut: "disconnected",
  disconnected: "disconnected",
};

/** What stands above the tiles. */
export class Header {
  constructor() {
    this.name = element("strong", { class: "pycrust-name" }, " ");
    this.service = element("span", { class: "pycrust-service" });
    this.pid = element("span", { class: "pycrust-fact" });
    this.up = element("span", { class: "pycrust-fact" });
    this.clients = element("span", { class: "pycrust-fact" });
    this.rhythm = element("span", { class: "pycrust-fact" });
    this.transport = element("span", { class: "pycrust-fact" });
    // Speaks only when the word changes; the sentence below has numbers that change and must stay silent.
    this.state = element("span", { class: "pycrust-state", role: "status", "aria-live": "polite" });
    this.words = element("p", { class: "pycrust-words" });
    this.root = element(
      "header",
      { class: "pycrust-header" },
      element("span", { class: "pycrust-who" }, this.name, this.service),
      element("span", { class: "pycrust-facts" }, this.pid, this.up, this.clients, this.rhythm, this.transport),
      this.state,
      this.words,
    );
  }

  /**
   * @param {import("../base/state.js").Endpoint | null} endpoint
   * @param {keyof typeof WORDS} condition
   * @param {number} silentMs
   */
  draw(endpoint, condition, silentMs) {
    const said = health(endpoint, condition, silentMs);
    write(this.state, WORDS[condition]);
    write(this.words, said.words);
    attribute(this.root, "data-health", said.health);
    if (endpoint === null) return;
    const gone = condition === "disconnected";
    write(this.name, endpoint.endpoint);
    write(this.service, gone ? "kernel gone" : endpoint.serving ? "serving" : "stopped");
    attribute(this.service, "data-serving", String(endpoint.serving && !gone));
    write(this.pid, `pid ${endpoint.pid}`);
    write(this.up, endpoint.serving ? `up ${span(endpoint.up)}` : "");
    write(this.clients, endpoint.clients === 1 ? "1 client" : `${endpoint.clients} clients`);
    const [steady, hits, misses, awake] = endpoint.rhythm;
    write(this.rhythm, steady > 0 && hits > 0 ? `${steady} in rhythm, ${Math.floor((100 * hits) / (hits + misses))} % awaited` : "");
    attribute(this.rhythm, "title", `Clients that call at regular times. A thread was awake in time for ${hits} calls, and in vain ${misses} `
      + `times: ${awake} ms of processor time in all (anticipation= of the endpoint bounds it)`);
    const spins = endpoint.spin > 0 && endpoint.recent[0] > 0;
    write(this.transport, `shared memory, ${spins ? "spinning" : "sleeping"}`);
    attribute(this.transport, "title", spins
      ? `iceoryx2. Polls up to ${endpoint.spin / 1000} µs for the next call before it sleeps: the fastest answer, for CPU time`
      : "iceoryx2. Sleeps until a call wakes it: no CPU time while nothing comes");
  }
}
