import { jobPath } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";
import { actionsFor, setPriority } from "./job-actions.js";
import { changed } from "./job-events.js";
import { LogPanel } from "./log-panel.js";
import { link } from "./router.js";
import { OVER, StateLabel, standing } from "./states.js";
import { bytes, duration, number, plainNumber } from "./text.js";
import { setSpan, setTime } from "./times.js";
import { View, emptyState } from "./view.js";

/** One job: its state, what can be done with it, its fields, its log as it grows. */
export class JobView extends View {
  constructor(app, route) {
    super(app, route, `Job ${route.id}`, 500);
    this.id = route.id;
    this.job = null;
    this.state = new StateLabel();
    this.message = h("p", { class: "job-message", hidden: true });
    this.actions = h("div", { class: "buttons" });
    this.buttons = new Map();
    this.facts = new Facts();
    this.priority = new PriorityForm((priority) =>
      setPriority(app, this.job, priority, `Job ${this.id} has priority ${priority}`),
    );
    this.config = h("pre", { class: "config", tabindex: "0", role: "region", "aria-label": "Config" });
    this.files = h("ul", { class: "files" });
    this.filesCard = h("section", { class: "card", hidden: true }, h("h2", {}, "Files"), this.files);
    this.heading.replaceChildren(h("span", { class: "soft" }, "Job "), this.id);
    this.head.prepend(h("a", { class: "back", href: link("jobs") }, "← Jobs"));
    this.head.append(this.actions);
    this.body = h("div", { class: "job-body", hidden: true });
    this.element.append(
      h("div", { class: "job-state", role: "group", "aria-label": "State" }, this.state.element, this.facts.timeline),
      this.message,
      this.body,
    );
  }

  heard({ kind, data }) {
    if (data.job_id !== this.id) return;
    if (this.job) this.#show(changed(this.job, { kind, data }));
    this.refresh();
  }

  close() {
    super.close();
    this.log?.close();
  }

  async load() {
    try {
      this.#show(await this.get(jobPath(this.id)));
    } catch (error) {
      if (error.status === 404) return this.#gone();
      throw error;
    }
    if (!this.log) {
      this.log = new LogPanel(this.app, this.id);
      this.body.append(
        this.log.element,
        h(
          "div",
          { class: "job-side" },
          this.facts.element,
          this.priority.element,
          this.filesCard,
          h("details", { class: "card" }, h("summary", {}, h("h2", {}, "Config")), this.config),
        ),
      );
      this.body.hidden = false;
    }
    await this.#showFiles();
  }

  #show(job) {
    const { app } = this;
    this.job = job;
    this.state.show(...standing(job));
    setText(this.message, [job.cause && job.cause.replaceAll("_", " "), job.message].filter(Boolean).join(": "));
    this.message.hidden = !this.message.textContent;
    this.message.classList.toggle("bad", job.status === "failed" || job.status === "lost");
    this.#showActions(actionsFor(app, job));
    this.facts.show(job);
    this.priority.show(job, app.session.owns(job.user));
    setText(this.config, JSON.stringify(job.config, null, 2));
  }

  /** Buttons keep their elements, so that one that has the focus does not lose it. */
  #showActions(actions) {
    for (const [name, button] of this.buttons)
      if (!actions.some((each) => each.name === name)) {
        button.element.remove();
        this.buttons.delete(name);
      }
    for (const action of actions) {
      let button = this.buttons.get(action.name);
      if (!button) {
        button = {
          element: h("button", {
            type: "button",
            class: action.danger ? "danger-quiet" : "",
            on: { click: () => this.#do(action.name) },
          }),
        };
        this.buttons.set(action.name, button);
        this.actions.append(button.element);
      }
      button.run = action.run;
      button.element.disabled = action.disabled ?? false;
      setText(button.element, action.label);
    }
  }

  async #do(name) {
    const done = await this.buttons.get(name)?.run();
    if (done && name === "delete") this.app.router.go("jobs");
    else if (done) this.refresh();
  }

  async #showFiles() {
    if (!OVER.has(this.job.status)) return;
    const files = await this.get(jobPath(this.id, "/files")).catch(() => []);
    this.filesCard.hidden = files.length === 0;
    this.files.replaceChildren(
      ...files
        .slice(0, 200)
        .map(({ name, size }) =>
          h("li", {}, h("span", { class: "mono" }, name), h("span", { class: "soft" }, bytes(size))),
        ),
    );
    if (files.length > 200) this.files.append(h("li", { class: "soft" }, `and ${number(files.length - 200)} more`));
  }

  #gone() {
    this.log?.close();
    this.actions.replaceChildren();
    this.element.replaceChildren(
      this.head,
      emptyState(
        "There is no such job.",
        h("p", { class: "soft" }, "It may have been deleted."),
        h("p", {}, h("a", { class: "button", href: link("jobs") }, "All jobs")),
      ),
    );
  }
}

/** The fields of a job. */
class Facts {
  constructor() {
    this.list = h("dl", { class: "facts" });
    this.rows = new Map();
    this.element = h("section", { class: "card" }, h("h2", {}, "About"), this.list);
    this.times = { created: h("time", {}), started: h("time", {}), ended: h("time", {}), took: h("span", {}) };
    this.tookLabel = h("span", { class: "soft" });
    const step = (label, element) => h("span", { class: "step" }, label, element);
    const soft = (text) => h("span", { class: "soft" }, text);
    this.steps = {
      created: step(soft("submitted"), this.times.created),
      started: step(soft("started"), this.times.started),
      ended: step(soft("ended"), this.times.ended),
      took: step(this.tookLabel, this.times.took),
    };
    this.timeline = h("span", { class: "timeline" }, ...Object.values(this.steps));
  }

  show(job) {
    setTime(this.times.created, job.created);
    setTime(this.times.started, job.start_time);
    setTime(this.times.ended, job.end_time);
    setSpan(this.times.took, job.start_time, job.end_time);
    setText(this.tookLabel, job.end_time ? "took" : "runs for");
    for (const name of ["started", "ended", "took"]) this.steps[name].hidden = !this.times[name].textContent;
    const jobs = (ids) =>
      ids?.length ? ids.flatMap((id, index) => [index ? ", " : "", h("a", { href: link("jobs", id) }, id)]) : null;
    this.#row("User", job.user);
    this.#row("Site", job.site);
    this.#row("Group", job.group);
    this.#row("Series", job.series);
    this.#row("Application", job.application);
    this.#row("Array", job.array);
    this.#row("Cores", plainNumber(job.cores));
    this.#row("Memory", job.memory_mb ? `${number(job.memory_mb)} MiB` : "");
    this.#row("After", jobs(job.after));
    this.#row("After success of", jobs(job.after_ok));
    this.#row("Exit code", job.return_code ?? "");
    this.#row("Cause", job.cause?.replaceAll("_", " "));
    this.#row("CPU time", job.cpu_seconds === null ? "" : duration(job.cpu_seconds));
    this.#row("Peak memory", job.peak_memory_bytes === null ? "" : bytes(job.peak_memory_bytes));
    this.#row("At its site", job.scheduler_job_id);
  }

  #row(label, value) {
    let row = this.rows.get(label);
    if (!row) {
      row = { element: h("div", {}, h("dt", {}, label)), value: h("dd", {}) };
      row.element.append(row.value);
      this.list.append(row.element);
      this.rows.set(label, row);
    }
    const there = value !== null && value !== undefined && value !== "";
    row.element.hidden = !there;
    if (Array.isArray(value)) row.value.replaceChildren(...value);
    else setText(row.value, there ? value : "");
  }
}

/** The priority of a job that waits. */
class PriorityForm {
  constructor(set) {
    this.input = h("input", {
      type: "number",
      name: "priority",
      id: "priority",
      step: 1,
      min: -1e9,
      max: 1e9,
      required: true,
    });
    this.button = h("button", { type: "submit" }, "Set");
    this.element = h(
      "form",
      {
        class: "card priority-form",
        hidden: true,
        on: {
          submit: (event) => {
            event.preventDefault();
            set(Number(this.input.value));
          },
        },
      },
      h("label", { for: "priority" }, "Priority"),
      h("span", { class: "row" }, this.input, this.button),
      h("p", { class: "soft hint" }, "Higher goes first. A job that waits ten minutes counts as one higher."),
    );
  }

  show(job, may) {
    this.element.hidden = job.status !== "queued";
    setAttribute(this.input, "disabled", !may);
    this.button.hidden = !may;
    if (this.input !== document.activeElement) this.input.value = job.priority;
  }
}
