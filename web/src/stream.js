// One run: POST /execute as a stream of events.

// A number that JavaScript would write differently, as 2.0 or one of twenty
// digits, keeps its own.
export class Exact {
  constructor(digits) { this.digits = digits; }
  toJSON() { return JSON.rawJSON ? JSON.rawJSON(this.digits) : Number(this.digits); }
}

// parse is JSON.parse without loss in numbers, where the browser can tell.
export function parse(text) {
  return JSON.parse(text, (key, value, context) => {
    const digits = context?.source;
    return typeof value === "number" && digits && String(value) !== digits ? new Exact(digits) : value;
  });
}

// Verbatim is JSON that is sent as its author wrote it: to read it and write it
// anew would change numbers, and hide a key that is there twice.
export class Verbatim {
  constructor(text) { this.text = text; }
}

// members is an object's JSON without its braces.
export function members(object) {
  return Object.entries(object)
    .map(([name, value]) => `${JSON.stringify(name)}: ${value instanceof Verbatim ? value.text : JSON.stringify(value)}`).join(", ");
}

// execute posts request and calls on(name, data) for each event. An answer
// that is no stream ends in an event as well: "result" or "error".
export async function execute(request, key, signal, on) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetch("/execute", { method: "POST", headers, body: `{${members(request)}}`, signal, redirect: "error" });
  if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
    const text = await response.text();
    let body;
    try {
      body = parse(text);
    } catch {
      throw new Error(`The server answered ${response.status} with something else than JSON.`);
    }
    body.status = response.status;
    body.retry_after ??= response.headers.get("Retry-After") ?? undefined;
    on(response.ok ? "result" : "error", body);
    return;
  }
  let ended = false;
  for await (const { name, data } of events(response.body)) {
    if (!name) continue;
    ended = name === "result" || name === "error";
    on(name, ended ? parse(data) : JSON.parse(data));
  }
  if (!ended) throw new Error("The connection broke before the run ended.");
}

// events reads what our server writes: "event:" and "data:" of one line each.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let looked = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (;;) {
      const end = text.indexOf("\n\n", looked);
      if (end < 0) break;
      const event = { name: "", data: "" };
      for (const line of text.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) event.name = line.slice(7);
        else if (line.startsWith("data: ")) event.data = line.slice(6);
      }
      text = text.slice(end + 2);
      looked = 0;
      yield event;
    }
    looked = Math.max(0, text.length - 1);
  }
}
