// The page: puts the parts together.
import { commands } from "./copy.js";
import { byId, element } from "./dom.js";
import { newEditor } from "./editor.js";
import { examples } from "./examples.js";
import { wireIsolation } from "./isolation.js";
import { newRuns } from "./run.js";
import { fromLink, link } from "./share.js";
import { Verbatim } from "./stream.js";
import { wireTheme } from "./theme.js";

const nonce = document.querySelector("meta[name=csp-nonce]")?.nonce ?? "";
const editor = newEditor(byId("editor"), nonce, () => runs.start());
const runs = newRuns(editor, request, key);

function key() { return byId("key").value.trim(); }

// request is what would be sent now; it throws on what cannot be.
function request() {
  const made = { script: editor.text() };
  const input = byId("input").value.trim();
  if (input) {
    try {
      JSON.parse(input);
    } catch (problem) {
      throw new FieldError("input", `The input is not JSON: ${problem.message}.`);
    }
    made.input = new Verbatim(input);
  }
  if (byId("stdin").value) made.stdin = byId("stdin").value;
  const limit = byId("timeout").value.trim();
  if (limit) {
    if (!/^[1-9]\d{0,8}$/.test(limit)) throw new FieldError("timeout", "The time limit is not a number of milliseconds, such as 2000.");
    made.timeout_ms = Number(limit);
  }
  return made;
}

class FieldError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
    byId("more").open = true;
    byId(field).focus();
  }
}

function load({ script, input = "", stdin = "", timeout = "" }) {
  editor.setText(script);
  byId("input").value = input;
  byId("stdin").value = stdin;
  byId("timeout").value = timeout;
  byId("more").open = Boolean(input || stdin || timeout) || document.documentElement.dataset.keys === "required";
  notice("");
  runs.clear();
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

async function toClipboard(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    notice(done);
  } catch {
    byId("by-hand-text").value = text;
    byId("by-hand").showModal();
    byId("by-hand-text").select();
  }
}

function wireExamples() {
  const select = byId("examples");
  select.append(element("option", { value: "", textContent: "Examples…" }));
  examples.forEach(({ name }, i) => select.append(element("option", { value: String(i), textContent: name })));
  select.addEventListener("change", () => {
    if (select.value === "") return;
    load(examples[Number(select.value)]);
    history.replaceState(null, "", location.pathname);
  });
}

function wireCopy() {
  const menu = byId("copy");
  menu.addEventListener("click", (event) => {
    const language = event.target.dataset?.copy;
    if (!language) return;
    menu.open = false;
    try {
      toClipboard(commands[language](location.origin, request(), Boolean(key()) || document.documentElement.dataset.keys === "required"),
        `Copied as ${event.target.textContent}.`);
    } catch (problem) {
      runs.refuse(problem.message);
    }
  });
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

async function share() {
  const address = await link({ script: editor.text(), input: byId("input").value, stdin: byId("stdin").value, timeout: byId("timeout").value });
  if (address === null) {
    notice("The script is too long for a link.");
    return;
  }
  history.replaceState(null, "", address);
  await toClipboard(address, "The link is in the clipboard. It carries the script, and runs nothing by itself.");
}

// open shows what the address carries, and leaves the page as it is where that
// is nothing of ours. It runs nothing: a link is somebody else's text until
// its reader has read it.
async function open() {
  try {
    const linked = await fromLink(location.hash);
    if (linked === null) return;
    load(linked);
    notice("This script came with the link. Read it before you run it.");
  } catch (problem) {
    notice(problem.message);
  }
}

if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("run-key").textContent = "⌘ ↵";
if (document.documentElement.dataset.keys === "required") byId("key-note").textContent = "this server needs one; it is kept in this page alone";
wireTheme();
wireExamples();
wireCopy();
byId("run").addEventListener("click", () => runs.start());
byId("stop").addEventListener("click", () => runs.stop());
byId("share").addEventListener("click", share);
byId("copy-result").addEventListener("click", () => toClipboard(runs.resultText(), "The result is in the clipboard."));
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented && !byId("by-hand").open) {
    event.preventDefault();
    runs.start();
  }
});
window.addEventListener("hashchange", open);
// The address stays: to go back from "#results" to a link would load the link
// over what has been written since.
document.querySelector("a.skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("results").focus();
});
wireIsolation();
load(examples[0]);
open().then(() => {
  document.documentElement.dataset.ready = "true";
});
