// A name on one line: its start gives way where there is no room, since the end tells more.
import { element, write } from "./dom.js";

/** Letters of a name's end that are always seen. */
const END = 12;

/** Two parts, of which the first is elided. */
export class Name {
  constructor() {
    this.start = element("span", { class: "pycrust-name-start" });
    this.end = element("span", { class: "pycrust-name-end" });
    this.root = element("span", { class: "pycrust-name-text" }, this.start, this.end);
  }

  /** @param {string} name */
  draw(name) {
    const letters = [...name];
    const cut = letters.length > 2 * END ? letters.length - END : letters.length;
    write(this.start, letters.slice(0, cut).join(""));
    write(this.end, letters.slice(cut).join(""));
  }
}
