// The panel about the sandbox, from GET /health.
import { byId, element } from "./dom.js";

const names = {
  full: "full isolation", "namespaces-masked-proc": "namespaces, masked /proc", "namespaces-no-landlock": "namespaces",
  landlock: "Landlock and seccomp", seccomp: "seccomp alone",
};

export function wireIsolation() {
  const button = byId("isolation-button");
  const panel = byId("isolation");
  button.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) refresh();
  });
  return refresh();
}

async function refresh() {
  const button = byId("isolation-button");
  const label = byId("isolation-label");
  try {
    const response = await fetch("/health", { redirect: "error" });
    const health = await response.json();
    const level = health.isolation?.level ?? "";
    button.dataset.state = response.ok ? (level === "full" ? "good" : "less") : "bad";
    label.textContent = response.ok ? names[level] ?? level : "unavailable";
    show(health);
  } catch {
    button.dataset.state = "bad";
    label.textContent = "no answer";
    byId("isolation-summary").textContent = "The server did not answer.";
  }
}

function show(health) {
  const versions = [["Python", health.python], ...Object.entries(health.packages ?? {})].filter(([, v]) => v);
  byId("isolation-summary").textContent = [health.reason, versions.map(([name, v]) => `${name} ${v}`).join(" · ")].filter(Boolean).join(" — ");
  byId("layers").replaceChildren(...Object.entries(health.isolation?.layers ?? {}).map(([name, layer]) => element("li", { className: layer.active ? "on" : "off" },
    element("span", { className: "mark", "aria-hidden": "true" }, layer.active ? "✓" : "–"),
    element("span", {},
      element("strong", {}, name.replaceAll("_", " ")),
      element("span", { className: "visually-hidden" }, layer.active ? " is in force." : " is off."),
      layer.detail ? element("span", { className: "muted" }, ` ${layer.detail}`) : ""))));
}
