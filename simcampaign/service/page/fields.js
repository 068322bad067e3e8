import { freshId, h, setAttribute, setText } from "./dom.js";

/** Inputs by the paths that the service calls them, and what it says is wrong with each. */
export class Fields {
  #fields = new Map();

  constructor() {
    this.summary = h("div", { class: "notice bad problems", role: "alert", hidden: true, tabindex: "-1" });
  }

  /** Make a labelled field. `hint` says what goes in. */
  add(path, label, input, hint = "") {
    const id = freshId("field"),
      described = freshId("about");
    const fault = h("span", { class: "fault" });
    input.id = id;
    input.name = path;
    setAttribute(input, "aria-describedby", described);
    const about = h(
      "span",
      { id: described, class: "about" },
      hint ? h("span", { class: "soft hint" }, hint) : null,
      fault,
    );
    const element =
      input.type === "checkbox"
        ? h("div", { class: "field" }, h("label", { class: "check", for: id }, input, ` ${label}`), about)
        : h("div", { class: "field" }, h("label", { for: id }, label), input, about);
    this.#fields.set(path, { input, fault, label });
    return element;
  }

  clear() {
    this.summary.hidden = true;
    for (const { input, fault } of this.#fields.values()) {
      setText(fault, "");
      input.removeAttribute("aria-invalid");
    }
  }

  /** Show each mistake at its field, and all of them in a list that leads there. */
  show(error) {
    this.clear();
    const problems = error.problems.length ? error.problems : [{ path: "", reason: error.message, remedy: "" }];
    const items = problems.map((problem) => {
      const found = this.#find(problem.path);
      const said = [problem.reason, problem.remedy].filter(Boolean).join("; ");
      if (!found) return h("li", {}, problem.path ? `${problem.path}: ${said}` : said);
      setText(found.fault, said);
      setAttribute(found.input, "aria-invalid", "true");
      return h(
        "li",
        {},
        h("button", { type: "button", class: "link", on: { click: () => found.input.focus() } }, found.label),
        `: ${said}`,
      );
    });
    this.summary.replaceChildren(
      h(
        "p",
        {},
        items.length === 1
          ? "The service says what is wrong:"
          : `The service says what is wrong, in ${items.length} places:`,
      ),
      h("ul", {}, ...items),
      error.hint ? h("p", {}, error.hint) : "",
    );
    this.summary.hidden = false;
    this.summary.focus();
  }

  /** The field of a path, or the one that it is below. */
  #find(path) {
    const plain = path.replace(/^body\./, "");
    for (const whole of [plain, `config.${plain}`]) {
      for (let each = whole; each; each = each.slice(0, Math.max(0, each.lastIndexOf(".")))) {
        if (this.#fields.has(each)) return this.#fields.get(each);
      }
    }
    return null;
  }
}
