// A method's last minute as a small line: when it was called, not how often; the number beside it says that.
const WIDTH = 56;
const HEIGHT = 14;
const SVG = "http://www.w3.org/2000/svg";

/**
 * The line's points, from 0 to the largest value; empty where nothing was called.
 * @param {number[]} values the oldest first
 */
export function points(values) {
  const most = Math.max(...values, 0);
  if (most === 0) return "";
  const step = WIDTH / (values.length - 1);
  return values.map((value, at) => `${(at * step).toFixed(1)},${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`).join(" ");
}

/** It says nothing to a screen reader that the numbers don't. */
export class Spark {
  constructor() {
    this.root = document.createElementNS(SVG, "svg");
    this.line = document.createElementNS(SVG, "polyline");
    for (const [name, value] of Object.entries({ class: "pycrust-spark", width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" })) {
      this.root.setAttribute(name, String(value));
    }
    this.root.append(this.line);
    /** The second that was drawn last. */
    this.second = -1;
  }

  /**
   * @param {import("../base/rates.js").Rates} rates
   * @param {number} place
   */
  draw(rates, place) {
    if (rates.second === this.second) return;
    this.second = rates.second;
    this.line.setAttribute("points", points(rates.line(place)));
  }
}
