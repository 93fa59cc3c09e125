// What the script prints. A megabyte in one element makes a browser slow, so
// only the end is shown until somebody asks for all; and the page is touched a
// few times a second, however often something is printed.
import { byId, element, size } from "./dom.js";

const shown = 150_000; // characters
const pace = 50; // ms

export function newOutput() {
  const pre = byId("output");
  const part = byId("output-part");
  const more = byId("output-more");
  let pieces = []; // {stream, text}, of all that was printed
  let drawn = 0; // pieces that are on the page, or were taken off it
  let inPage = 0; // characters
  let all = false;
  let timer = 0;

  // draw brings the page up to date.
  function draw() {
    clearTimeout(timer);
    timer = 0;
    if (drawn === pieces.length) return;
    const follow = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 40;
    let first = pieces.length; // of those that are to be shown
    for (let left = all ? Infinity : shown; first > drawn && left > 0; ) left -= pieces[--first].text.length;
    if (first > drawn) {
      pre.replaceChildren();
      inPage = 0;
    }
    const added = document.createDocumentFragment();
    for (const { stream, text } of pieces.slice(first)) {
      const last = added.lastChild;
      if (last?.className === stream && last.size < 4000) {
        last.append(text);
        last.size += text.length;
      } else {
        const span = element("span", { className: stream }, text);
        span.size = text.length;
        added.append(span);
      }
      inPage += text.length;
    }
    drawn = pieces.length;
    pre.append(added);
    while (!all && inPage > shown && pre.childNodes.length > 1) {
      inPage -= pre.firstChild.size;
      pre.firstChild.remove();
    }
    offerAll();
    if (follow) pre.scrollTop = pre.scrollHeight;
  }

  function offerAll() {
    const hidden = pieces.reduce((sum, { text }) => sum + text.length, 0) - inPage;
    more.hidden = hidden === 0;
    if (hidden === 0) return;
    more.replaceChildren(`${size(hidden)} before this `, element("button", {
      type: "button", className: "quiet", textContent: "Show all", onclick() {
        all = true;
        pre.replaceChildren();
        inPage = drawn = 0;
        draw();
        pre.focus();
      },
    }));
  }

  return {
    draw,
    clear() {
      clearTimeout(timer);
      timer = drawn = inPage = 0;
      pieces = [];
      all = false;
      more.hidden = part.hidden = true;
      pre.replaceChildren();
    },
    add(stream, text) {
      part.hidden = false;
      for (let at = 0; at < text.length; at += 8000) { // so that the page can keep only the end of it
        pieces.push({ stream, text: text.slice(at, at + 8000) });
      }
      timer ||= setTimeout(draw, pace);
    },
  };
}
