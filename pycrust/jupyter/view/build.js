// Bundles src/ and uPlot into dist/live.js, styles included as text: one file, nothing fetched from anywhere.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

// The tests compare this with the sources, so that a bundle can't be forgotten.
const hash = createHash("sha256");
const sources = readdirSync("src", { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
for (const name of [...sources.map((each) => join(each.parentPath, each.name)).sort(), "package-lock.json"]) {
  hash.update(readFileSync(name));
}

await build({
  entryPoints: ["src/live.js"],
  outfile: "dist/live.js",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "inline",
  loader: { ".css": "text" },
  banner: {
    js: [
      "// Built by `npm run build`. Includes uPlot (MIT licence, Copyright (c) 2022 Leon Sorokin).",
      `// sources ${hash.digest("hex")}`,
    ].join("\n"),
  },
});
