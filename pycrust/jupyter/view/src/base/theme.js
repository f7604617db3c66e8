// Light or dark follows what is behind the view, whichever way the page came to it.

/**
 * The relative luminance of a CSS colour `rgb(r, g, b)` or `rgba(r, g, b, a)`, 0 to 1 (WCAG 2.2).
 * @param {string} colour
 */
export function luminance(colour) {
  const parts = colour.match(/[\d.]+/g)?.slice(0, 3).map(Number) ?? [255, 255, 255];
  const [red, green, blue] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** @param {string} colour */
const transparent = (colour) => /^rgba\(.*, 0\)$/.test(colour) || colour === "transparent";

/** Sets `data-theme` on the view's root; looked at on each draw, which costs one style read. */
export class Theme {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.background = "";
  }

  /** Whether the colours changed since the last look. */
  follow() {
    let background = "";
    for (let node = /** @type {Element | null} */ (this.root); node !== null; node = node.parentElement) {
      background = getComputedStyle(node).backgroundColor;
      if (!transparent(background)) break;
    }
    if (background === this.background) return false;
    this.background = background;
    this.root.dataset.theme = !transparent(background) && luminance(background) < 0.3 ? "dark" : "light";
    return true;
  }
}
