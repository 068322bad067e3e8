import { h } from "./dom.js";
import { ApplicationForm } from "./application-form.js";
import { Fields } from "./fields.js";
import { JsonForm } from "./json-form.js";
import { PlainForm } from "./plain-form.js";
import { link } from "./router.js";
import { View, emptyState } from "./view.js";

/** A job is described and submitted; the service checks it, and says what is wrong at each field. */
export class SubmitView extends View {
  constructor(app, route) {
    super(app, route, "Submit a job");
    this.kinds = h("select", { id: "kind", on: { change: () => this.#choose(this.kinds.value) } });
    this.place = h("div", {});
    this.result = h("div", { class: "notice good", role: "status", tabindex: "-1", hidden: true });
    this.forms = null;
    this.body = h(
      "div",
      { class: "card submit-card", hidden: true },
      h("div", { class: "field" }, h("label", { for: "kind" }, "What"), this.kinds),
      this.place,
    );
    this.element.append(this.result, this.body);
  }

  heard() {}

  async load() {
    if (!this.app.session.may("submitter")) {
      this.element.append(
        emptyState(
          "You may look, and not submit.",
          h("p", { class: "soft" }, "Ask the owner of this service for the role submitter."),
        ),
      );
      return;
    }
    if (this.forms) return;
    const [{ applications, commands }, sites] = await Promise.all([this.get("/applications"), this.get("/sites")]);
    const usable = sites.filter(({ broken }) => !broken).map(({ name }) => name);
    const forms = new Map(
      applications.map((each) => [
        `application ${each.name}`,
        [each.name, () => (each.kind === "hfss" ? new JsonForm(hfssExample(each.name)) : new ApplicationForm(each))],
      ]),
    );
    forms.set("plain", [
      commands ? "A command, or an input file" : "An input file",
      () => new PlainForm(usable, commands),
    ]);
    forms.set("json", ["Any config, as JSON", () => new JsonForm()]);
    this.forms = forms;
    this.kinds.replaceChildren(...[...forms].map(([value, [label]]) => h("option", { value }, label)));
    this.#choose(this.kinds.value);
    this.body.hidden = false;
  }

  #choose(kind) {
    const fields = new Fields();
    const made = this.forms.get(kind)[1]();
    const priority = h("input", { type: "number", step: 1, value: 0 });
    const check = h("button", { type: "submit", value: "check" }, "Check only");
    const submit = h("button", { type: "submit", class: "primary", value: "submit" }, "Submit");
    const form = h(
      "form",
      { novalidate: true, on: { submit: (event) => this.#send(event, made, fields, priority) } },
      fields.summary,
      ...made.build(fields),
      short(fields.add("priority", "Priority", priority, "higher goes first")),
      h("div", { class: "buttons" }, submit, check),
    );
    this.form = form;
    this.place.replaceChildren(form);
    this.result.hidden = true;
  }

  async #send(event, made, fields, priority) {
    event.preventDefault();
    const buttons = [...this.form.querySelectorAll("button[type=submit]")];
    const dry = event.submitter?.value === "check";
    buttons.forEach((button) => {
      button.disabled = true;
    });
    try {
      const answer = await this.app.api.send("POST", "/jobs/submit", {
        config: made.config(),
        priority: Number(priority.value),
        dry_run: dry,
      });
      fields.clear();
      this.#show(answer, dry);
    } catch (error) {
      this.result.hidden = true;
      if (error.problems === undefined) throw error;
      fields.show(error);
    } finally {
      buttons.forEach((button) => {
        button.disabled = false;
      });
    }
  }

  #show(answer, dry) {
    const lines = dry
      ? [
          h(
            "p",
            {},
            h("strong", {}, "This would be accepted."),
            ` It would run at ${answer.site} with ${answer.cores} ${answer.cores === 1 ? "core" : "cores"}.`,
          ),
          h("pre", { class: "command" }, answer.command.map(shown).join(" ")),
          answer.files.length ? h("p", { class: "soft" }, `Files: ${answer.files.join(", ")}`) : null,
        ]
      : [
          h(
            "p",
            {},
            h("strong", {}, "Submitted: "),
            h("a", { href: link("jobs", answer.job_id) }, answer.job_id),
            `, ${answer.status}.`,
          ),
        ];
    this.result.replaceChildren(...lines.filter(Boolean));
    this.result.hidden = false;
    this.result.focus();
    this.result.scrollIntoView({ block: "nearest" });
  }
}

/** Let a field be as wide as what goes in. */
function short(field) {
  field.classList.add("short");
  return field;
}

/** A word of a command as a shell would show it. */
function shown(word) {
  return /^[\w@%+=:,./{}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function hfssExample(application) {
  return {
    application,
    project_path: "/path/of/the/service/project.aedb",
    design_name: "main",
    setup_name: "Setup1",
    machine_nodes: [{ hostname: "localhost", cores: 4 }],
  };
}
