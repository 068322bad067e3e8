import { CommonFields } from "./common-fields.js";
import { h } from "./dom.js";

/** A job of an application, with the fields that its owner declared. */
export class ApplicationForm {
  constructor(application) {
    this.application = application;
    this.inputs = new Map(Object.entries(application.fields).map(([name, kind]) => [name, [kind, input(kind)]]));
    this.site = h("select", {}, ...application.sites.map((name) => h("option", { value: name }, name)));
    this.common = new CommonFields();
  }

  build(fields) {
    const own = [...this.inputs].map(([name, [kind, element]]) =>
      fields.add(`config.fields.${name}`, name, element, about(kind)),
    );
    const site = this.application.sites.length > 1 ? fields.add("config.site", "Site", this.site) : "";
    return [h("div", { class: "grid" }, ...own, site), ...this.common.build(fields)];
  }

  config() {
    const values = {};
    for (const [name, [kind, element]] of this.inputs) {
      const value = valueOf(kind, element);
      if (value !== undefined) values[name] = value;
    }
    return { ...this.common.config(), application: this.application.name, site: this.site.value, fields: values };
  }
}

function input(kind) {
  if (kind.type === "boolean") return h("input", { type: "checkbox", checked: kind.default === true });
  if (kind.type === "choice")
    return h(
      "select",
      {},
      ...kind.choices.map((each) => h("option", { value: each, selected: each === kind.default }, each)),
    );
  const isNumber = kind.type === "integer" || kind.type === "number";
  return h("input", {
    type: isNumber ? "number" : "text",
    step: kind.type === "number" ? "any" : null,
    min: isNumber ? kind.at_least : null,
    max: isNumber ? kind.at_most : null,
    placeholder: kind.default ?? "",
    spellcheck: "false",
  });
}

function about(kind) {
  const { at_least: least, at_most: most } = kind;
  const range = [least !== null && `${least} or more`, most !== null && `${most} or less`].filter(Boolean).join(", ");
  const type =
    { path: "a path on the service's host, below one of its roots", integer: "an integer", number: "a number" }[
      kind.type
    ] ?? "";
  const needed = kind.default === null && kind.type !== "boolean" && kind.type !== "choice" ? "needed" : "";
  return [type, range, needed].filter(Boolean).join("; ");
}

/** The value of a field, as the service takes it; undefined for its default. */
function valueOf(kind, element) {
  if (kind.type === "boolean") return element.checked;
  if (element.value === "") return undefined;
  return kind.type === "integer" || kind.type === "number" ? Number(element.value) : element.value;
}
