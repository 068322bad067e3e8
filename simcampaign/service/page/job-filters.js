import { freshId, h } from "./dom.js";

const NAMES = ["user", "site", "group", "series"];
const PAUSE = 250;

/** Search and filters of the list of jobs. Calls `change({ text, user, … })` once typing rests. */
export class JobFilters {
  #timer = null;

  constructor(change) {
    this.change = change;
    this.lists = new Map();
    this.inputs = new Map();
    this.search = this.#field("text", "Search", { type: "search", placeholder: "id, user, group, message…" });
    const named = NAMES.map((name) =>
      this.#field(name, name[0].toUpperCase() + name.slice(1), {
        type: "text",
        placeholder: "any",
        list: this.#list(name),
      }),
    );
    const others = h(
      "button",
      {
        type: "button",
        class: "more-filters",
        "aria-expanded": "false",
        on: {
          click: () => {
            const open = this.element.classList.toggle("open");
            others.setAttribute("aria-expanded", String(open));
          },
        },
      },
      "More filters",
    );
    this.clear = h(
      "button",
      { type: "button", class: "quiet", hidden: true, on: { click: () => this.#clear() } },
      "Clear filters",
    );
    this.element = h(
      "form",
      {
        class: "filters",
        role: "search",
        "aria-label": "Filters",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.#changed();
          },
        },
      },
      this.search,
      others,
      ...named,
      ...[...this.lists.values()],
      this.clear,
    );
  }

  #list(name) {
    const list = h("datalist", { id: freshId(`names-${name}`) });
    this.lists.set(name, list);
    return list.id;
  }

  #field(name, label, properties) {
    const input = h("input", {
      name,
      maxlength: 120,
      autocomplete: "off",
      spellcheck: "false",
      ...properties,
      on: { input: () => this.#soon(), change: () => this.#changed() },
    });
    this.inputs.set(name, input);
    return h("label", { class: `filter filter-${name}` }, h("span", {}, label), input);
  }

  /** Propose names that jobs have. */
  propose(names) {
    for (const [name, list] of this.lists)
      list.replaceChildren(...(names[name] ?? []).map((value) => h("option", { value })));
  }

  /** Show filters that come from elsewhere; what is being typed stays. */
  show(params) {
    for (const [name, input] of this.inputs) if (input !== document.activeElement) input.value = params[name] ?? "";
    this.clear.hidden = ![...this.inputs.keys(), "status"].some((name) => params[name]);
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#changed(), PAUSE);
  }

  #changed() {
    clearTimeout(this.#timer);
    this.change(Object.fromEntries([...this.inputs].map(([name, input]) => [name, input.value.trim()])));
  }

  #clear() {
    for (const input of this.inputs.values()) input.value = "";
    this.change({ ...Object.fromEntries([...this.inputs.keys()].map((name) => [name, ""])), status: "" });
    this.inputs.get("text").focus();
  }
}
