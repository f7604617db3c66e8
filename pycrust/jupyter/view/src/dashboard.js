// One view: header, tiles, charts, events and table, drawn from the same state.
import plotStyles from "uplot/dist/uPlot.min.css";
import styles from "./live.css";
import { Chart } from "./parts/chart.js";
import { element } from "./base/dom.js";
import { EventLog } from "./parts/events.js";
import { Header } from "./parts/header.js";
import { Inspector } from "./calls/inspector.js";
import { Models } from "./parts/models.js";
import { Table } from "./methods/table.js";
import { Theme } from "./base/theme.js";
import { Tiles } from "./parts/tiles.js";

/** The whole view in one element. */
export class Dashboard {
  /**
   * @param {HTMLElement} el what the notebook gives
   * @param {number} number tells it from the page's other views
   * @param {(message: Record<string, unknown>) => void} say sends a message to the kernel
   */
  constructor(el, number, say) {
    this.number = number;
    this.header = new Header();
    this.tiles = new Tiles();
    this.chart = new Chart();
    this.events = new EventLog();
    this.table = new Table();
    this.models = new Models();
    this.inspector = new Inspector(say);
    this.root = element(
      "section",
      { class: "pycrust", "data-testid": "pycrust-dashboard", "aria-label": "PyCrust live view" },
      this.header.root,
      this.tiles.root,
      element("div", { class: "pycrust-middle" }, this.chart.root, this.events.root),
      this.table.root,
      this.models.root,
      this.inspector.root,
    );
    this.theme = new Theme(this.root);
    el.classList.add("pycrust-host");
    el.replaceChildren(element("style", {}, plotStyles, styles), this.root);
    /** @type {import("./base/state.js").Endpoint | null} What was drawn last. */
    this.drawn = null;
  }

  /**
   * @param {import("./base/state.js").Endpoint | null} endpoint
   * @param {import("./base/history.js").History} history
   * @param {ReturnType<typeof import("./base/state.js").condition>} condition
   * @param {number} silentMs
   */
  draw(endpoint, history, condition, silentMs) {
    this.root.dataset.condition = condition;
    this.header.draw(endpoint, condition, silentMs);
    if (this.theme.follow()) this.chart.make();
    if (endpoint === null || endpoint === this.drawn) return;
    this.drawn = endpoint;
    this.root.dataset.update = String(endpoint.sequence);
    this.tiles.draw(endpoint, history);
    this.chart.draw(endpoint, history);
    this.events.draw(history);
    this.table.draw(endpoint, history);
    this.models.draw(endpoint.models);
    this.inspector.recording.draw(endpoint.recording);
  }

  remove() {
    this.chart.remove();
  }
}
