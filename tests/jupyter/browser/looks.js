// Checks of how a view looks, run in the page. Each takes the view's root and gives what is wrong as a list of texts.
(() => {
  const all = (root) => [...root.querySelectorAll("*")];
  const texts = (node) => [...node.childNodes].filter((child) => child.nodeType === 3 && child.textContent.trim());

  /** What reaches out of the view or is cut off by its own box. */
  const outside = (root) => {
    const box = root.getBoundingClientRect();
    return all(root).filter((each) => {
      const own = each.getBoundingClientRect();
      if (own.width === 0 || each.closest(".pycrust-hidden")) return false;
      const cut = each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0
        && getComputedStyle(each).display !== "inline"
        && getComputedStyle(each).textOverflow !== "ellipsis"; // it says so
      return cut || own.right > box.right + 0.5 || own.left < box.left - 0.5;
    }).map((each) => `${each.tagName}.${each.className}`);
  };

  /** Texts whose contrast with what is behind them is below `least` (WCAG 2.2). */
  const contrastBelow = (root, least) => {
    const parts = (colour) => [...colour.match(/[\d.]+/g).map(Number), 1].slice(0, 4);
    const over = ([r, g, b, a], under) => [r, g, b].map((part, at) => part * a + under[at] * (1 - a));
    const behind = (node) => {
      if (node === null) return [255, 255, 255];
      const own = parts(getComputedStyle(node).backgroundColor);
      return own[3] === 1 ? own.slice(0, 3) : over(own, behind(node.parentElement));
    };
    const light = (rgb) => rgb.map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    return all(root).filter((node) => texts(node).length > 0).flatMap((node) => {
      const back = behind(node);
      const [low, high] = [light(over(parts(getComputedStyle(node).color), back)), light(back)].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05);
      return ratio < least ? [`${node.className}: ${ratio.toFixed(2)}`] : [];
    });
  };

  /** The part of a text's box that its scrolling ancestors let through, or null. */
  const seen = (child, node, root) => {
    const range = document.createRange();
    range.selectNodeContents(child);
    let { left, right, top, bottom } = range.getBoundingClientRect();
    for (let up = node; up && up !== root.parentElement; up = up.parentElement) {
      if (getComputedStyle(up).overflow === "visible") continue;
      const clip = up.getBoundingClientRect();
      [left, right] = [Math.max(left, clip.left), Math.min(right, clip.right)];
      [top, bottom] = [Math.max(top, clip.top), Math.min(bottom, clip.bottom)];
    }
    return right - left > 1 && bottom - top > 1 ? { left, right, top, bottom } : null;
  };

  /** Texts that cover each other. */
  const overlapping = (root) => {
    const boxes = all(root)
      .filter((node) => !node.closest(".pycrust-hidden, canvas, option") && node.checkVisibility({ visibilityProperty: true }))
      .flatMap((node) => texts(node).map((child) => ({
        box: seen(child, node, root),
        text: child.textContent.trim(),
        head: node.closest("thead") !== null, // rows scroll below their heads
      })))
      .filter(({ box }) => box !== null);
    return boxes.flatMap((one, at) => boxes.slice(at + 1).filter((two) => {
      const wide = Math.min(one.box.right, two.box.right) - Math.max(one.box.left, two.box.left);
      const high = Math.min(one.box.bottom, two.box.bottom) - Math.max(one.box.top, two.box.top);
      return one.head === two.head && wide > 1 && high > 3;
    }).map((two) => `${one.text} / ${two.text}`));
  };

  const STEADY = [
    "header", ".pycrust-tile", ".pycrust-tile-value", ".pycrust-chart", ".u-wrap", ".pycrust-events", "th", "td",
    ".pycrust-legend", ".pycrust-inspector", ".pycrust-calls-box", ".pycrust-detail",
  ].join();

  /** What changes its place or size while so many updates are drawn. */
  const shifted = (root, updates) => new Promise((done) => {
    const look = () => new Map([...root.querySelectorAll(STEADY)].map((node, at) => [`${at} ${node.className}`, node.getBoundingClientRect()]));
    const first = look();
    const found = new Set();
    let count = 0;
    const observer = new MutationObserver(() => {
      for (const [name, box] of look()) {
        const before = first.get(name);
        const moved = !before || ["left", "top", "width", "height"].some((side) => Math.abs(before[side] - box[side]) > 0.5);
        if (moved) found.add(name);
      }
      count += 1;
      if (count < updates) return;
      observer.disconnect();
      done([...found]);
    });
    observer.observe(root, { attributes: true, attributeFilter: ["data-update"] });
  });

  /** Numbers whose digits differ in width. */
  const untabular = (root) => [...root.querySelectorAll(".pycrust-number, td, .pycrust-fact, .pycrust-call-took, time")]
    .filter((node) => !getComputedStyle(node).fontVariantNumeric.includes("tabular-nums"))
    .map((node) => node.className);

  /** What axe-core finds. */
  const inaccessible = async (root) => {
    const { violations } = await axe.run(root);
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
  };

  return { outside, contrastBelow, overlapping, shifted, untabular, inaccessible };
})();
