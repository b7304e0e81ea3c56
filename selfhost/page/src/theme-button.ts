import { byId, icon } from "./dom.ts";
import { write } from "./store.ts";

/** The button that goes from light to dark and back; until it is used the system decides. */
export function watchTheme(): void {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const isDark = (): boolean =>
    root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  const render = (): void => {
    button.replaceChildren(icon(isDark() ? "sun" : "moon"));
    button.setAttribute("aria-label", isDark() ? "Use light colors" : "Use dark colors");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    write("localStorage", "theme", root.dataset.theme);
    render();
  });
  system.addEventListener("change", render);
  render();
}
