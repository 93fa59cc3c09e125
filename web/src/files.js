// Files that the run left: images are shown, all can be saved. An image is
// shown by img, in which a script of an SVG does not run.
import { byId, element, size } from "./dom.js";

const images = {
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", svg: "image/svg+xml",
};

let urls = [];

export function clearFiles() {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  byId("files").replaceChildren();
  byId("files-part").hidden = true;
}

export function showFiles(files) {
  clearFiles();
  if (!Array.isArray(files) || files.length === 0) return;
  for (const file of files) byId("files").append(show(file));
  byId("files-part").hidden = false;
}

function show(file) {
  const bytes = Uint8Array.from(atob(file.content_base64), (c) => c.charCodeAt(0));
  const name = file.path.split("/").pop();
  const kind = images[name.split(".").pop().toLowerCase()];
  // What is not an image is never given a type that a browser would open.
  const url = URL.createObjectURL(new Blob([bytes], { type: kind ?? "application/octet-stream" }));
  urls.push(url);
  const caption = element("figcaption", {}, element("a", { href: url, download: name }, file.path), ` ${size(bytes.length)}`);
  if (!kind) return element("figure", {}, caption);
  return element("figure", {}, element("img", { src: url, alt: `${name}, drawn by the script` }), caption);
}
