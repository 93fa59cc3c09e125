// The request of the page as a program in another language.
import { members } from "./stream.js";

// commands are functions of (origin, request, needsKey).
export const commands = {
  // A quoted here-document: nothing in it means anything to the shell, and
  // no line of JSON is its end.
  curl: (origin, request, needsKey) => `curl ${shellQuoted(`${origin}/execute`)} -H 'Content-Type: application/json' \\
${needsKey ? '  -H "Authorization: Bearer $PYEXEC_API_KEY" \\\n' : ""}  --data-binary @- <<'JSON'
{${members(request)}}
JSON
`,

  python: (origin, request, needsKey) => `import json
${needsKey ? "import os\n" : ""}import urllib.error
import urllib.request

script = (
${lines(request.script, (line, end) => `    ${quoted(line + end)}`).join("\n")}
)
body = '{"script": ' + json.dumps(script) + ${rest(request)}
request = urllib.request.Request(
    ${quoted(`${origin}/execute`)},
    data=body.encode(),
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
  body: '{"script": ' + JSON.stringify(script) + ${rest(request)},
});
console.log(await response.text());
`,
};

// quoted is a string literal of JavaScript and of Python: JSON's is both.
const quoted = (text) => JSON.stringify(text);

const shellQuoted = (text) => (/^[\w:/.[\]-]+$/.test(text) && !text.includes("[") ? text : `'${text.replaceAll("'", "'\\''")}'`);

function lines(text, write) {
  const all = text.split("\n");
  return all.map((line, i) => write(line, i < all.length - 1 ? "\n" : "")).filter((line, i) => i === 0 || !/^ *"",?$/.test(line));
}

// rest is a literal of what follows the script, as JSON in either language's
// text: as values of theirs, numbers would change. In single quotes, since JSON
// is full of double ones.
function rest({ script, ...others }) {
  const text = Object.keys(others).length > 0 ? `, ${members(others)}}` : "}";
  const inside = quoted(text).slice(1, -1).replaceAll("'", "\\'").replace(/\\(.)/g, (all, escaped) => (escaped === '"' ? escaped : all));
  return `'${inside}'`;
}
