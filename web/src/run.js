// A run and what is shown of it.
import { byId, element, time } from "./dom.js";
import { clearFiles, showFiles } from "./files.js";
import { newOutput } from "./output.js";
import { execute } from "./stream.js";
import { isRecords, table } from "./table.js";
import { tree } from "./tree.js";

const titles = {
  invalid_request: "The request is not right", syntax_error: "Syntax error", missing_main: "There is no main()",
  missing_return: "main() returns nothing", policy_violation: "Blocked operation", exception: "The script raised an exception",
  exited: "The script ended its process", invalid_result: "The result is not JSON", timeout: "Over the time limit",
  memory_limit: "Over the memory limit", killed: "The process was killed", output_limit: "The result is too large",
  disk_limit: "Over the disk limit", unauthenticated: "This server needs an API key", forbidden: "This key may not do that",
  too_large: "The request is too large", rate_limited: "Too many requests", overloaded: "The server is busy",
  draining: "The server is shutting down", unavailable: "The sandbox is not available", internal: "The server failed",
};

export function newRuns(editor, request, key) {
  const output = newOutput();
  let current = null; // AbortController of the run that goes on
  let result; // of the last run
  let clock = 0;

  function clear() {
    output.clear();
    clearFiles();
    editor.clear();
    byId("failure").hidden = byId("result-part").hidden = true;
    byId("failure").replaceChildren();
    byId("result").replaceChildren();
    byId("times").textContent = "";
    byId("empty").hidden = false;
    say("", "Ready.");
  }

  function say(state, text) {
    byId("status").dataset.state = state;
    if (byId("status").textContent !== text) byId("status").textContent = text;
  }

  // tick shows where a run is, while it goes on.
  function tick(began, started) {
    const waited = performance.now() - began;
    if (started()) {
      say("busy", "Running…");
      byId("times").textContent = time(performance.now() - started());
    } else if (waited > 300) {
      say("busy", "Waiting for a place…");
      byId("times").textContent = time(waited);
    }
  }

  async function start() {
    let body;
    try {
      body = { ...request(), details: true };
    } catch (problem) {
      refuse(problem.message);
      return;
    }
    current?.abort();
    clear();
    byId("empty").hidden = true;
    const mine = current = new AbortController();
    const began = performance.now();
    let running = 0;
    let timing;
    byId("stop").hidden = false;
    say("busy", "Sending…");
    clearInterval(clock);
    clock = setInterval(() => tick(began, () => running), 100);
    try {
      await execute(body, key(), mine.signal, (name, data) => {
        if (mine !== current) return;
        if (name === "started") running = performance.now();
        else if (name === "stdout" || name === "stderr") output.add(name, data.text);
        else if (name === "timing") timing = data;
        else if (name === "result" || name === "error") {
          clearInterval(clock); // or a tick before the stream's end would say that it still runs
          (name === "result" ? succeeded : failed)(data);
        }
      });
    } catch (problem) {
      if (mine !== current) return;
      if (mine.signal.aborted) say("bad", "Stopped.");
      else refuse(problem instanceof TypeError ? "The server cannot be reached." : problem.message);
    }
    if (mine !== current) return;
    output.draw();
    clearInterval(clock);
    byId("stop").hidden = true;
    current = null;
    showTimes(timing, performance.now() - began);
  }

  function showTimes(timing, total) {
    const parts = timing
      ? [["queue", timing.queue_ms], ["start", timing.spawn_ms], ["run", timing.run_ms], ["total", total]]
      : [["total", total]];
    byId("times").replaceChildren(...parts.map(([name, ms]) => element("span", { className: "time" }, `${name} `, element("b", {}, time(ms)))));
  }

  function succeeded(data) {
    say("good", "Done.");
    finish(data);
    result = data.result;
    const views = { Tree: tree };
    if (isRecords(result)) views.Table = table;
    showResult(views, views.Table ? "Table" : "Tree");
    byId("result-part").hidden = false;
  }

  function showResult(views, chosen) {
    byId("result").replaceChildren(views[chosen](result));
    byId("views").replaceChildren(...(Object.keys(views).length > 1 ? Object.keys(views) : []).map((name) => element("button", {
      type: "button", className: "quiet", textContent: name, "aria-pressed": String(name === chosen),
      onclick() {
        showResult(views, name);
        [...byId("views").children].find((b) => b.textContent === name)?.focus();
      },
    })));
  }

  function finish(data) {
    if (data.truncated) say("good", "Done; some of the output was dropped.");
    showFiles(data.files);
  }

  function failed(data) {
    finish(data);
    const error = data.error ?? {};
    say("bad", titles[error.type] ?? String(error.type));
    showFailure(error, data);
    editor.mark(error);
    if (error.type === "unauthenticated") {
      byId("more").open = true;
      byId("key").focus();
    }
  }

  function showFailure(error, data) {
    const parts = [element("p", { className: "message" }, String(error.message ?? ""))];
    if (error.hint) parts.push(element("p", { className: "advice" }, element("strong", {}, "Try: "), error.hint));
    if (data.retry_after) parts.push(element("p", { className: "advice" }, `Try again in ${data.retry_after} s.`));
    if (Number.isInteger(error.line) && error.line > 0) {
      parts.push(element("button", { type: "button", className: "quiet", textContent: `Go to line ${error.line}`, onclick: () => editor.goTo(error.line) }));
    }
    if (error.traceback) {
      parts.push(element("details", {}, element("summary", {}, "Traceback"),
        element("pre", { tabIndex: 0, "aria-label": "Traceback" }, error.traceback)));
    }
    const facts = [error.type, data.status && `HTTP ${data.status}`, error.path && `at ${error.path}`, error.exception, error.operation, error.request_id];
    parts.push(element("p", { className: "muted" }, facts.filter(Boolean).join(" · ")));
    byId("failure").replaceChildren(...parts);
    byId("failure").hidden = false;
  }

  // refuse shows what kept the page from running anything.
  function refuse(message) {
    say("bad", "Not run.");
    byId("failure").replaceChildren(element("p", { className: "message" }, message));
    byId("failure").hidden = false;
    byId("empty").hidden = true;
  }

  return {
    start, refuse,
    clear() {
      current?.abort();
      current = null;
      clearInterval(clock);
      byId("stop").hidden = true;
      clear();
    },
    stop: () => current?.abort(),
    resultText: () => JSON.stringify(result, null, 2),
  };
}
