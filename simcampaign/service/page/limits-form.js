import { h } from "./dom.js";
import { Fields } from "./fields.js";

const LIMITS = [
  ["max_concurrent_jobs", "Jobs at a time", 1, "on this host; sites elsewhere have limits of their own"],
  ["max_cpu_percent", "CPU, at most (%)", "any", "no job starts while more is in use; 100 for no limit"],
  ["min_memory_gb", "Memory, at least (GB)", "any", "no job starts while less is free"],
  ["min_disk_gb", "Disk, at least (GB)", "any", "no job starts while less is free"],
];

/** What jobs may use of the host, and how that is changed. */
export class LimitsForm {
  constructor(app) {
    this.app = app;
    this.fields = new Fields();
    this.inputs = new Map(
      LIMITS.map(([name, , step]) => [
        name,
        h("input", { type: "number", step, min: 0, required: true, on: { input: () => this.#edited() } }),
      ]),
    );
    this.button = h("button", { type: "submit", class: "primary", disabled: true }, "Change limits");
    this.undo = h("button", { type: "button", hidden: true, on: { click: () => this.#reset() } }, "Undo");
    this.why = h("p", { class: "soft hint" }, "Only admins change limits.");
    const form = h(
      "form",
      { novalidate: true, on: { submit: (event) => this.#submit(event) } },
      this.fields.summary,
      h(
        "div",
        { class: "grid" },
        ...LIMITS.map(([name, label, , hint]) => this.fields.add(name, label, this.inputs.get(name), hint)),
      ),
      h("div", { class: "buttons" }, this.button, this.undo),
      this.why,
    );
    this.element = h("section", { class: "card" }, h("h2", {}, "Limits"), form);
    this.limits = null;
  }

  show(limits) {
    const may = this.app.session.may("admin");
    const edited = this.#changes().length > 0;
    this.limits = limits;
    for (const [name, input] of this.inputs) {
      input.disabled = !may;
      if (!edited) input.value = limits[name];
    }
    this.button.hidden = !may;
    this.why.hidden = may;
  }

  #changes() {
    return this.limits === null
      ? []
      : [...this.inputs].filter(([name, input]) => input.value !== String(this.limits[name]));
  }

  #edited() {
    this.button.disabled = this.#changes().length === 0;
    this.undo.hidden = this.button.disabled;
  }

  #reset() {
    for (const [name, input] of this.inputs) input.value = this.limits[name];
    this.fields.clear();
    this.#edited();
  }

  async #submit(event) {
    event.preventDefault();
    const wanted = Object.fromEntries(
      this.#changes().map(([name, input]) => [name, input.value === "" ? null : Number(input.value)]),
    );
    try {
      this.limits = (await this.app.api.send("PUT", "/pool/limits", wanted)).limits;
    } catch (error) {
      if (error.status === undefined) throw error;
      this.fields.show(error);
      return;
    }
    this.#reset();
    this.app.notices.done("The limits are changed");
  }
}
