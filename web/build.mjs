// Builds src into the folder that is given: what the server embeds.
import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";

const out = process.argv[2];
if (!out) throw new Error("usage: node build.mjs FOLDER");
await mkdir(out, { recursive: true });
await build({
  entryPoints: { app: "src/main.js", style: "src/app.css" }, outdir: out, entryNames: "[name]", bundle: true, minify: true, format: "esm",
  target: "es2022", legalComments: "none", charset: "utf8", logLevel: "warning",
});
for (const file of ["index.html", "icon.svg"]) await copyFile(`src/${file}`, `${out}/${file}`);
