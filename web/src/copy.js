// The request of the page as a program in another language.

// commands are functions of (origin, request, needsKey).
export const commands = {
  // A quoted here-document: nothing in it means anything to the shell, and
  // JSON on one line cannot be its end.
  curl: (origin, request, needsKey) => `curl ${shellQuoted(`${origin}/execute`)} -H 'Content-Type: application/json' \\
${needsKey ? '  -H "Authorization: Bearer $PYEXEC_API_KEY" \\\n' : ""}  --data-binary @- <<'JSON'
${JSON.stringify(request)}
JSON
`,

  python: (origin, request, needsKey) => `import json
${needsKey ? "import os\n" : ""}import urllib.error
import urllib.request

script = (
${lines(request.script, (line, end) => `    ${quoted(line + end)}`).join("\n")}
)
body = {"script": script${rest(request, ", ", (name, value) => `"${name}": json.loads(${quoted(JSON.stringify(value))})`)}}
request = urllib.request.Request(
    ${quoted(`${origin}/execute`)},
    data=json.dumps(body).encode(),
    headers={"Content-Type": "application/json"${needsKey ? ', "Authorization": "Bearer " + os.environ["PYEXEC_API_KEY"]' : ""}},
)
try:
    with urllib.request.urlopen(request) as response:
        print(response.read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
`,

  javascript: (origin, request, needsKey) => `const script = [
${lines(request.script, (line, end) => `  ${quoted(line + end)},`).join("\n")}
].join("");
const response = await fetch(${quoted(`${origin}/execute`)}, {
  method: "POST",
  headers: { "Content-Type": "application/json"${needsKey ? ", Authorization: `Bearer ${process.env.PYEXEC_API_KEY}`" : ""} },
  body: JSON.stringify({ script${rest(request, ", ", (name, value) => `${name}: ${javascript(value)}`)} }),
});
console.log(await response.text());
`,
};

// quoted is a string literal of JavaScript and of Python: JSON's is both.
const quoted = (text) => javascript(text);

// JSON is JavaScript, but for a key that sets the prototype: it stays text.
function javascript(value) {
  const text = JSON.stringify(value);
  return text.includes('"__proto__"') && typeof value !== "string" ? `JSON.parse(${JSON.stringify(text)})` : text;
}

const shellQuoted = (text) => (/^[\w:/.[\]-]+$/.test(text) && !text.includes("[") ? text : `'${text.replaceAll("'", "'\\''")}'`);

function lines(text, write) {
  const all = text.split("\n");
  return all.map((line, i) => write(line, i < all.length - 1 ? "\n" : "")).filter((line, i) => i === 0 || !/^ *"",?$/.test(line));
}

function rest(request, separator, write) {
  return Object.entries(request).filter(([name]) => name !== "script").map(([name, value]) => separator + write(name, value)).join("");
}
