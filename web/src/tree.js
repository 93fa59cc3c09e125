// A JSON value as a foldable tree. Branches are made when they are opened, and
// a part at a time, so that a large or deep value costs what is looked at.
import { element } from "./dom.js";
import { Exact } from "./stream.js";

const part = 100; // children made at once
const longText = 2000; // characters of a string shown at once
const openAtFirst = 60; // nodes

export function tree(value) {
  const budget = { left: openAtFirst };
  return element("div", { className: "tree" }, node(null, value, budget));
}

function node(key, value, budget) {
  budget.left--;
  if (value === null || typeof value !== "object" || value instanceof Exact) {
    return element("div", { className: "leaf" }, ...label(key), leaf(value));
  }
  const list = Array.isArray(value);
  const entries = list ? value : Object.entries(value);
  const count = entries.length;
  if (count === 0) return element("div", { className: "leaf" }, ...label(key), element("span", { className: "muted" }, list ? "[]" : "{}"));
  const what = list ? `[${count} ${count === 1 ? "item" : "items"}]` : `{${count} ${count === 1 ? "key" : "keys"}}`;
  const inside = element("div", { className: "children" });
  const branch = element("details", {}, element("summary", {}, ...label(key), element("span", { className: "muted" }, what)), inside);
  let made = 0;
  const add = (budget) => {
    inside.querySelector(":scope > button")?.remove();
    const end = Math.min(made + part, count);
    for (; made < end; made++) {
      inside.append(list ? node(made, entries[made], budget) : node(entries[made][0], entries[made][1], budget));
    }
    if (made < count) {
      inside.append(element("button", {
        type: "button", className: "quiet", textContent: `${count - made} more`, onclick: () => add({ left: 0 }),
      }));
    }
  };
  if (budget.left > 0) {
    branch.open = true;
    add(budget);
  }
  branch.addEventListener("toggle", () => { if (branch.open && made === 0) add({ left: 0 }); });
  return branch;
}

function label(key) {
  if (key === null) return [];
  return [element("span", { className: "key" }, typeof key === "number" ? String(key) : short(key)), ": "];
}

const short = (key) => (key.length > 200 ? `${key.slice(0, 200)}…` : key);

function leaf(value) {
  if (typeof value !== "string") {
    const kind = value === null ? "null" : typeof value === "boolean" ? "bool" : "number";
    return element("span", { className: kind }, value instanceof Exact ? value.digits : JSON.stringify(value));
  }
  const span = element("span", { className: "string" });
  if (value.length <= longText) {
    span.textContent = JSON.stringify(value);
    return span;
  }
  span.textContent = `${JSON.stringify(value.slice(0, longText)).slice(0, -1)}… `;
  const rest = element("button", {
    type: "button", className: "quiet", textContent: `all ${value.length.toLocaleString("en")} characters`,
    onclick() { span.textContent = JSON.stringify(value); },
  });
  return element("span", {}, span, rest);
}
