// Model slots: which version is live, how it is doing, what memory it takes.
import { element, write, attribute } from "../base/dom.js";
import { digits } from "../base/format.js";

/**
 * One slot, as the kernel sends it.
 * @typedef {[name: string, version: number, state: string, kind: string, bytes: number | null, note: string]} Slot
 */

/** @param {number | null} bytes */
export function memory(bytes) {
  if (typeof bytes !== "number" || !Number.isFinite(bytes) || bytes < 0) return "memory unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < units.length - 1) [value, at] = [value / 1024, at + 1];
  return `${at === 0 ? value : digits(value)} ${units[at]}`;
}

/** One line a slot; hidden where there is none. */
export class Models {
  constructor() {
    this.list = element("ul", { class: "pycrust-models-list" });
    this.root = element("section", { class: "pycrust-models", "data-testid": "models", "aria-label": "Models", hidden: "" }, element("h3", { class: "pycrust-title" }, "Models"), this.list);
  }

  /** @param {Slot[]} slots */
  draw(slots) {
    this.root.hidden = slots.length === 0;
    while (this.list.children.length > slots.length) this.list.lastElementChild?.remove();
    slots.forEach(([name, version, state, kind, bytes, note], at) => {
      let line = this.list.children[at];
      if (!line) {
        line = element("li", { class: "pycrust-model" }, ...["name", "chip", "state", "memory", "note"].map((part) => element("span", { class: `pycrust-${part === "chip" ? "chip" : `model-${part}`}` })));
        this.list.append(line);
      }
      const [title, chip, word, size, rest] = line.children;
      write(title, name);
      write(chip, version ? `v${version}` : "–");
      write(word, state);
      write(size, `${kind}${kind ? ", " : ""}${memory(bytes)}`);
      write(rest, note);
      attribute(line, "data-state", state);
      attribute(line, "data-testid", `model-${name}`);
    });
  }
}
