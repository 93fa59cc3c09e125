// A list of records as a table.
import { element } from "./dom.js";
import { Exact } from "./stream.js";

const rowsAtOnce = 100;
const mostColumns = 40;
const looked = 1000; // records whose keys become columns

const isRecord = (v) => v !== null && typeof v === "object" && !Array.isArray(v) && !(v instanceof Exact);

// isRecords tells whether value is worth a table.
export function isRecords(value) {
  return Array.isArray(value) && value.length > 0 && value.slice(0, looked).every((v) => isRecord(v) && Object.keys(v).length > 0);
}

export function table(records) {
  const columns = new Set();
  for (const record of records.slice(0, looked)) {
    for (const key of Object.keys(record)) columns.add(key);
  }
  const shown = [...columns].slice(0, mostColumns);
  const body = element("tbody");
  const head = element("tr", {}, element("th", { scope: "col", className: "index" }, "#"));
  for (const column of shown) head.append(element("th", { scope: "col" }, column));
  const notes = [`${records.length.toLocaleString("en")} records`];
  if (columns.size > shown.length) notes.push(`${shown.length} of ${columns.size} columns`);
  const whole = element("div", { className: "table" },
    element("table", {}, element("caption", {}, notes.join(", ")), element("thead", {}, head), body));
  let made = 0;
  const more = element("button", { type: "button", className: "quiet", onclick: () => add() });
  const add = () => {
    const end = Math.min(made + rowsAtOnce, records.length);
    for (; made < end; made++) body.append(row(made, records[made], shown));
    more.textContent = `${records.length - made} more`;
    if (made === records.length) more.remove();
    else whole.append(more);
  };
  add();
  return whole;
}

function row(index, record, columns) {
  const tr = element("tr", {}, element("th", { scope: "row", className: "index" }, String(index)));
  for (const column of columns) {
    const value = isRecord(record) && Object.hasOwn(record, column) ? record[column] : undefined;
    const number = typeof value === "number" || value instanceof Exact;
    tr.append(element("td", { className: number ? "number" : "" }, cell(value)));
  }
  return tr;
}

function cell(value) {
  if (value === undefined) return "";
  if (value instanceof Exact) return value.digits;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
