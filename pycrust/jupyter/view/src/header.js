// The header line: which endpoint, in which state, and what the view knows about itself.
import { element, write, attribute } from "./dom.js";
import { span } from "./format.js";

/** What each condition is called, and what to do about it. */
const WORDS = {
  waiting: ["waiting", "Waiting for the kernel's first answer."],
  live: ["live", "Updates five times a second."],
  stopped: ["not serving", "Call endpoint.serve() to serve."],
  stale: ["stale", "No update for more than 2 seconds: the numbers are old."],
  disconnected: ["disconnected", "The kernel has gone: the numbers are its last. Run the cell again."],
};

/** The line above the tiles. */
export class Header {
  constructor() {
    this.name = element("strong", { class: "pycrust-name" }, " ");
    this.service = element("span", { class: "pycrust-service" });
    this.pid = element("span", { class: "pycrust-fact" });
    this.up = element("span", { class: "pycrust-fact" });
    this.clients = element("span", { class: "pycrust-fact" });
    // Speaks only when the word changes; the age beside it ticks and must stay silent.
    this.state = element("span", { class: "pycrust-state", role: "status", "aria-live": "polite" });
    this.age = element("span", { class: "pycrust-age" });
    this.root = element(
      "header",
      { class: "pycrust-header" },
      element("span", { class: "pycrust-who" }, this.name, this.service),
      element("span", { class: "pycrust-facts" }, this.pid, this.up, this.clients),
      element("span", { class: "pycrust-connection" }, this.age, this.state),
    );
  }

  /**
   * @param {import("./state.js").Endpoint | null} endpoint
   * @param {keyof typeof WORDS} condition
   * @param {number} silentMs
   */
  draw(endpoint, condition, silentMs) {
    const [word, help] = WORDS[condition];
    write(this.state, word);
    attribute(this.state, "title", help);
    write(this.age, condition === "stale" ? `no update for ${span(silentMs)}` : condition === "disconnected" ? "last known numbers" : "");
    if (endpoint === null) return;
    const gone = condition === "disconnected";
    write(this.name, endpoint.endpoint);
    write(this.service, gone ? "kernel gone" : endpoint.serving ? "serving" : "stopped");
    attribute(this.service, "data-serving", String(endpoint.serving && !gone));
    write(this.pid, `pid ${endpoint.pid}`);
    write(this.up, endpoint.serving ? `up ${span(endpoint.up)}` : "");
    write(this.clients, endpoint.clients === 1 ? "1 client" : `${endpoint.clients} clients`);
  }
}
