// Bundles src/ and uPlot into dist/live.js, styles included as text: one file, nothing fetched from anywhere.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { build } from "esbuild";

// The tests compare this with the sources, so that a bundle can't be forgotten.
const hash = createHash("sha256");
for (const name of [...readdirSync("src").sort().map((each) => `src/${each}`), "package-lock.json"]) {
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
