import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";

const PATIENCE = 1200;

/** Keys for those who like them. Single letters can be turned off, as other tools may want them. */
export class Shortcuts {
  #remembered;
  #actions = new Map();
  #texts = [];
  #first = "";
  #timer = null;

  constructor(remembered) {
    this.#remembered = remembered;
    document.addEventListener("keydown", (event) => this.#pressed(event));
    this.add("?", "This list", () => this.show());
  }

  /** Add a key, or two that are pressed one after the other (`g j`). */
  add(keys, text, action) {
    this.#actions.set(keys, action);
    this.#texts.push([keys, text]);
  }

  get enabled() {
    return this.#remembered.get("shortcuts", "on") === "on";
  }

  #pressed(event) {
    if (
      event.defaultPrevented ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      document.querySelector("dialog[open]")
    )
      return;
    if (event.target.closest("input, textarea, select, [contenteditable], [role=application]")) return;
    if (!this.enabled && event.key !== "?") return;
    const keys = this.#first ? `${this.#first} ${event.key}` : event.key;
    this.#first = "";
    clearTimeout(this.#timer);
    const action = this.#actions.get(keys);
    if (action) {
      event.preventDefault();
      action();
    } else if ([...this.#actions.keys()].some((each) => each.startsWith(`${event.key} `))) {
      this.#first = event.key;
      this.#timer = setTimeout(() => {
        this.#first = "";
      }, PATIENCE);
    }
  }

  show() {
    const rows = this.#texts.map(([keys, text]) =>
      h("tr", {}, h("th", { scope: "row" }, ...keyElements(keys)), h("td", {}, text)),
    );
    const local = [
      ["Alt ↑, Alt ↓", "Queue: move the job of the row past its neighbour"],
      ["+, −", "Queue: raise or lower the priority of the row's job"],
      ["↑, ↓", "Lists: from row to row; Enter opens"],
      ["Arrows, Page, Home, End", "Map of a campaign: from run to run; Enter opens its failure"],
    ].map(([keys, text]) => h("tr", {}, h("th", { scope: "row" }, keys), h("td", {}, text)));
    const box = h("input", {
      type: "checkbox",
      checked: this.enabled,
      on: { change: (event) => this.#remembered.set("shortcuts", event.target.checked ? "on" : "off") },
    });
    const close = h("button", { type: "button" }, "Close");
    const table = h("table", { class: "keys" }, h("tbody", {}, ...rows, ...local));
    const dialog = openDialog(
      "Keyboard shortcuts",
      table,
      h("label", { class: "check" }, box, " Single letters are shortcuts"),
      h("div", { class: "buttons end" }, close),
    );
    close.addEventListener("click", () => dialog.close());
  }
}

function keyElements(keys) {
  return keys.split(" ").flatMap((key, index) => [index ? " then " : "", h("kbd", {}, key)]);
}
