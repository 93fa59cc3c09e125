// A script in the fragment of a link, which no browser sends to a server.

const most = 48_000; // characters of a fragment that everything between two people lets through
const mostBytes = 1 << 20; // of JSON in one, however small it is packed

// link is the page's address with the script in it; null when it is too long.
export async function link(content) {
  const plain = new Blob([JSON.stringify(content)]);
  if (plain.size > mostBytes) return null; // however well it packs: fromLink would not take it
  const packed = await through(plain.stream(), new CompressionStream("deflate-raw"), Infinity);
  let binary = "";
  for (let at = 0; at < packed.length; at += 8192) binary += String.fromCharCode(...packed.subarray(at, at + 8192));
  const fragment = `#1=${btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
  return fragment.length > most ? null : location.origin + location.pathname + fragment;
}

// fromLink is what a fragment carries; null when it carries nothing of ours.
export async function fromLink(fragment) {
  if (!fragment.startsWith("#1=")) return null;
  try {
    const binary = atob(fragment.slice(3).replaceAll("-", "+").replaceAll("_", "/"));
    const packed = Uint8Array.from(binary, (c) => c.charCodeAt(0));
    const bytes = await through(new Blob([packed]).stream(), new DecompressionStream("deflate-raw"), mostBytes);
    const content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof content?.script !== "string") throw new Error("no script");
    const text = (value) => (typeof value === "string" ? value : "");
    return { script: content.script, input: text(content.input), stdin: text(content.stdin), timeout: text(content.timeout) };
  } catch {
    throw new Error("The script in this link cannot be read: the link may have been cut.");
  }
}

async function through(stream, transform, limit) {
  const reader = stream.pipeThrough(transform).getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limit) {
      await reader.cancel();
      throw new Error("too large");
    }
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
