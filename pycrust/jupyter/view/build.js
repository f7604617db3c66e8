// Bundles src/ and uPlot into dist/live.js, styles included as text: one file, nothing fetched from anywhere.
import { build } from "esbuild";

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
  banner: { js: "// Built from ../src by `npm run build`. Includes uPlot (MIT licence, Copyright (c) Leon Sorokin)." },
});
