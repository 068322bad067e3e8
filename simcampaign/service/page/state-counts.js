import { h, setAttribute, setText } from "./dom.js";
import { STATES, stateIcon } from "./states.js";
import { number } from "./text.js";

/** Counts per state as buttons that choose states, above a bar of their shares. */
export class StateCounts {
  /** `choose(states)` is called with the states that are wanted then; none stands for all. */
  constructor(choose) {
    this.choose = choose;
    this.chosen = new Set();
    this.all = this.#button("all", "All", null, () => this.choose([]));
    this.buttons = new Map(
      STATES.map((state) => [state, this.#button(state, state, stateIcon(state), () => this.#toggle(state))]),
    );
    this.parts = new Map(STATES.map((state) => [state, h("span", { class: `b-${state}` })]));
    this.element = h(
      "div",
      { class: "state-counts" },
      h(
        "div",
        { class: "counts", role: "group", "aria-label": "States" },
        this.all.element,
        ...[...this.buttons.values()].map((each) => each.element),
      ),
      h("div", { class: "share", "aria-hidden": "true" }, ...this.parts.values()),
    );
  }

  #button(state, label, icon, press) {
    const count = h("span", { class: "count" }, "–");
    const element = h(
      "button",
      { type: "button", class: "count-button", "aria-pressed": "false", data: { state }, on: { click: press } },
      h("span", { class: "count-row" }, count, icon),
      h("span", { class: "count-label" }, label),
    );
    return { element, count };
  }

  #toggle(state) {
    const wanted = new Set(this.chosen);
    if (!wanted.delete(state)) wanted.add(state);
    this.choose(STATES.filter((each) => wanted.has(each)));
  }

  showChosen(states) {
    this.chosen = new Set(states);
    setAttribute(this.all.element, "aria-pressed", String(states.length === 0));
    for (const [state, { element }] of this.buttons)
      setAttribute(element, "aria-pressed", String(this.chosen.has(state)));
  }

  showCounts(counts) {
    let total = 0;
    for (const state of STATES) {
      const count = counts[state] ?? 0;
      total += count;
      setText(this.buttons.get(state).count, number(count));
      this.buttons.get(state).element.classList.toggle("none", count === 0);
      const part = this.parts.get(state);
      part.hidden = count === 0;
      part.style.flexGrow = count;
    }
    setText(this.all.count, number(total));
  }

  /** How many jobs there are in the states that are chosen. */
  static total(counts, states) {
    return (states.length ? states : STATES).reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  }
}
