// Light, dark, or as the system has it.
import { byId } from "./dom.js";

const themes = {
  auto: { sign: "◐", label: "Colours: as the system has them" },
  light: { sign: "☀", label: "Colours: light" },
  dark: { sign: "☾", label: "Colours: dark" },
};
const order = Object.keys(themes);

function stored() {
  try {
    return localStorage.getItem("theme") ?? "auto";
  } catch {
    return "auto"; // storage is closed to the page
  }
}

export function wireTheme() {
  const button = byId("theme");
  let theme = order.includes(stored()) ? stored() : "auto";
  const use = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = themes[theme].sign;
    button.setAttribute("aria-label", themes[theme].label);
    button.title = themes[theme].label;
  };
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    try {
      localStorage.setItem("theme", theme);
    } catch { /* it lasts as long as the page */ }
    use();
  });
  use();
}
