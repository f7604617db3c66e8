// What is recorded: in full up to which rates, and the fields that change it.
import { element, write, attribute } from "../base/dom.js";

/**
 * As the kernel sends them.
 * @typedef {{on: boolean, calls_per_second: number, bytes_per_second: number, max_arrays: number, slow_ms: number, text: string}} Settings
 */

/** Each number, its unit, and what it does. */
const FIELDS = /** @type {const} */ ([
  { name: "calls_per_second", label: "calls a second", title: "Up to this rate every call is recorded, above it a sample" },
  { name: "bytes_per_second", label: "MiB a second", title: "The same for the bytes of arguments and answers" },
  { name: "max_arrays", label: "KiB of arrays a call", title: "Up to so much the arrays among a call's arguments are kept: they are shown as pictures, and the call can be replayed. 0 keeps none" },
  { name: "slow_ms", label: "ms and more is slow", title: "Slow calls have a rate of their own, together with failed ones" },
]);

/** A button, and what it opens: a line that says what holds, and the fields that change it. */
export class Recording {
  /**
   * @param {string} id
   * @param {(settings: Record<string, unknown>) => void} ask
   */
  constructor(id, ask) {
    this.ask = ask;
    /** @type {Settings | null} */
    this.known = null;
    this.button = element("button", { class: "pycrust-button", type: "button", "aria-expanded": "false", "aria-controls": `${id}-recording`, "data-testid": "recording" }, "Recording…");
    this.now = element("p", { class: "pycrust-recording-now", "data-testid": "recording-now" });
    this.on = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", id: `${id}-on`, "data-testid": "recording-on" }));
    /** @type {Map<string, HTMLInputElement>} */
    this.fields = new Map();
    const fields = FIELDS.map(({ name, label, title }) => {
      // Text, so that what is no number is told by the kernel and not swallowed by the browser.
      const field = /** @type {HTMLInputElement} */ (element("input", { class: "pycrust-number-field", type: "text", inputmode: "decimal", autocomplete: "off", maxlength: "12", id: `${id}-${name}`, "data-testid": `recording-${name}`, "aria-describedby": `${id}-recording-said` }));
      this.fields.set(name, field);
      return element("span", { class: "pycrust-field", title }, field, element("label", { for: `${id}-${name}` }, label));
    });
    this.apply = element("button", { class: "pycrust-button", type: "submit", "data-testid": "recording-apply" }, "Apply");
    this.said = element("p", { class: "pycrust-said", id: `${id}-recording-said`, role: "status", "data-testid": "recording-said" });
    this.form = element(
      "form",
      { class: "pycrust-recording-form" },
      element("span", { class: "pycrust-field" }, this.on, element("label", { for: `${id}-on` }, "record")),
      ...fields,
      this.apply,
      this.said,
    );
    this.root = element("section", { class: "pycrust-recording", id: `${id}-recording`, "aria-label": "Recording", hidden: "" }, this.now, this.form);
    this.button.addEventListener("click", () => {
      this.root.hidden = !this.root.hidden;
      attribute(this.button, "aria-expanded", String(!this.root.hidden));
      if (!this.root.hidden) this.on.focus();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.change();
    });
  }

  change() {
    write(this.said, "");
    for (const field of this.fields.values()) attribute(field, "aria-invalid", null);
    const numbers = [...this.fields].map(([name, field]) => [name, number(field.value)]);
    this.ask({ on: this.on.checked, ...Object.fromEntries(numbers) });
  }

  /** @param {any} message what the kernel says to a change */
  answer(message) {
    const wrong = typeof message.wrong === "string";
    write(this.said, wrong ? message.wrong : "Applied.");
    attribute(this.said, "data-bad", wrong ? "true" : null);
    const field = this.fields.get(String(message.field ?? ""));
    if (wrong && field) {
      attribute(field, "aria-invalid", "true");
      field.focus();
    }
    if (!wrong && message.recording) this.fill(message.recording);
  }

  /** @param {Settings | null} settings */
  draw(settings) {
    if (settings === null || settings === this.known) return;
    this.known = settings;
    write(this.now, `Recorded: ${settings.text}`);
    // What somebody is typing stays.
    if (!this.form.contains(document.activeElement)) this.fill(settings);
  }

  /** @param {Settings} settings */
  fill(settings) {
    this.on.checked = settings.on;
    for (const [name, field] of this.fields) field.value = String(settings[/** @type {"slow_ms"} */ (name)]);
  }
}

/**
 * The number that a text stands for; else the text, which the kernel refuses in words.
 * @param {string} text
 */
export function number(text) {
  const clean = text.replace(/[,\s\u202f]/g, "");
  return clean !== "" && Number.isFinite(Number(clean)) ? Number(clean) : text;
}
