// The list of the last calls, the newest first.
import { element, write, attribute } from "../base/dom.js";
import { clock } from "../parts/events.js";
import { latency } from "../base/format.js";
import { Name } from "../base/name.js";

/**
 * One call in the list, as the kernel sends it.
 * The key is its number, or names a call that still runs.
 * @typedef {[key: string, method: string, version: number, status: string, client: string, endedMs: number, tookNs: number | null, notes: string]} CallRow
 */

/** A list box: one stop of the Tab key, arrows move in it; choice and scroll survive updates. */
export class CallList {
  /**
   * @param {string} id
   * @param {(key: string) => void} choose
   */
  constructor(id, choose) {
    this.id = id;
    this.choose = choose;
    /** @type {string | null} */
    this.selected = null;
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    this.list = element("div", { class: "pycrust-calls-list", role: "listbox", tabindex: "0", "aria-label": "Last calls, the newest first", "data-testid": "traffic-list" });
    this.none = element("p", { class: "pycrust-empty" }, "No calls recorded yet.");
    this.root = element("div", { class: "pycrust-calls-box" }, this.list, this.none);
    this.list.hidden = true;
    this.list.addEventListener("click", (event) => {
      const row = /** @type {Element} */ (event.target).closest?.("[data-key]");
      if (row instanceof HTMLElement) this.choose(row.dataset.key ?? "");
    });
    this.list.addEventListener("keydown", (event) => this.key(event));
  }

  focus() {
    this.list.focus();
    if (this.selected === null && this.list.firstElementChild instanceof HTMLElement) this.choose(this.list.firstElementChild.dataset.key ?? "");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const rows = /** @type {HTMLElement[]} */ ([...this.list.children]);
    const focused = document.activeElement instanceof HTMLElement ? rows.indexOf(document.activeElement) : -1;
    const at = focused >= 0 ? focused : rows.findIndex((row) => row.dataset.key === this.selected);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 8, PageUp: at - 8, Enter: Math.max(at, 0), " ": Math.max(at, 0) }[event.key];
    if (to === undefined || rows.length === 0) return;
    event.preventDefault();
    const row = rows[Math.min(Math.max(to, 0), rows.length - 1)];
    this.choose(row.dataset.key ?? "");
    if (focused >= 0) this.list.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  /** @param {string} key */
  select(key) {
    this.selected = key;
    for (const [each, row] of this.rows) attribute(row, "aria-selected", String(each === key));
    attribute(this.list, "aria-activedescendant", this.rows.has(key) ? `${this.id}-${key}` : null);
  }

  /**
   * @param {CallRow[]} calls the newest first
   * @param {string} nothing what to say where there are none
   */
  draw(calls, nothing) {
    // What is chosen stays, also when newer calls push it out of what the kernel sends.
    const wanted = calls.map(([key]) => key);
    if (this.selected !== null && this.rows.has(this.selected) && !wanted.includes(this.selected)) wanted.push(this.selected);
    const kept = new Set(wanted);
    for (const [key, row] of this.rows) {
      if (kept.has(key)) continue;
      if (row === document.activeElement) this.list.focus({ preventScroll: true });
      row.remove();
      this.rows.delete(key);
    }
    const top = this.list.scrollTop;
    const height = this.list.scrollHeight;
    for (const call of calls) this.fill(call);
    wanted.forEach((key, at) => {
      const row = /** @type {HTMLElement} */ (this.rows.get(key));
      if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] ?? null);
    });
    if (top > 0) this.list.scrollTop = top + this.list.scrollHeight - height;
    this.list.hidden = wanted.length === 0;
    this.none.hidden = wanted.length > 0;
    if (wanted.length === 0) write(this.none, nothing || "No calls recorded yet.");
    if (this.selected !== null) this.select(this.selected);
  }

  /** @param {CallRow} call */
  fill([key, method, version, status, client, ended, took, notes]) {
    let row = this.rows.get(key);
    if (!row) {
      row = element(
        "div",
        { class: "pycrust-call", role: "option", id: `${this.id}-${key}`, tabindex: "-1", "aria-selected": "false", "data-testid": "call-row", "data-key": key },
        ...["time", "what", "version", "status", "took"].map((name) => element("span", { class: `pycrust-call-${name}` })),
      );
      const name = new Name();
      name.draw(method);
      row.children[1].append(name.root);
      attribute(row.children[1], "title", method);
      this.rows.set(key, row);
    }
    const [time, , chip, state, long] = row.children;
    write(time, clock(ended / 1000));
    write(chip, version ? `v${version}` : "–");
    write(state, status === "RUNNING" ? "running" : status === "OK" ? `ok${notes ? ` · ${notes}` : ""}` : status.toLowerCase().replaceAll("_", " "));
    write(long, took === null ? "–" : latency(took));
    attribute(row, "data-bad", status === "OK" || status === "RUNNING" ? null : "true");
    attribute(row, "title", `call ${key} of ${client}`);
  }
}
