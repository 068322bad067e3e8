import { h, setText } from "./dom.js";

const ORDER = ["system", "light", "dark"];
const LABELS = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
const SIGNS = { system: "◐", light: "○", dark: "●" };

/** The switch between light, dark, and what the system says. */
export class ThemeSwitch {
  constructor(storage) {
    this.storage = storage;
    this.sign = h("span", { "aria-hidden": "true" });
    this.element = h("button", { type: "button", class: "quiet", on: { click: () => this.next() } }, this.sign);
    this.show();
  }

  get theme() {
    return document.documentElement.dataset.theme ?? "system";
  }

  next() {
    const theme = ORDER[(ORDER.indexOf(this.theme) + 1) % ORDER.length];
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    this.storage.set("theme", theme);
    this.show();
    window.dispatchEvent(new Event("themechange"));
  }

  show() {
    setText(this.sign, SIGNS[this.theme]);
    this.element.setAttribute("aria-label", LABELS[this.theme]);
    this.element.title = LABELS[this.theme];
  }
}
