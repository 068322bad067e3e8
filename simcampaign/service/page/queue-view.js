import { RowDrag } from "./drag.js";
import { Keyed, h, setAttribute, setText } from "./dom.js";
import { actionsFor, setPriority } from "./job-actions.js";
import { Pager } from "./pager.js";
import { priorityAt } from "./placing.js";
import { link } from "./router.js";
import { StateLabel, standing } from "./states.js";
import { counted, number } from "./text.js";
import { setTime } from "./times.js";
import { View, emptyState } from "./view.js";

const PAGE = 50;
const HIGHEST = 1e9;
const LOOK = 5000;

/** The jobs that wait, in their order; priorities change by buttons, by keys and by dragging. */
export class QueueView extends View {
  constructor(app, route) {
    super(app, route, "Queue");
    this.summary = h("p", { class: "soft summary" });
    this.heldBack = h("p", { class: "notice", hidden: true });
    this.body = h("tbody", { on: { keydown: (event) => this.#pressed(event) } });
    this.line = h("div", { class: "drop-line", hidden: true });
    this.rows = new Keyed(
      this.body,
      (job) => job.id,
      (job) => new QueueRow(this, job),
    );
    this.drag = new RowDrag(this.body, this.line, (from, to) => this.#place(from, to));
    this.empty = h("div", { hidden: true });
    this.pager = new Pager((step) => this.turn(step));
    const heads = [
      ["", "c-handle"],
      ["#", "n c-position"],
      ["Job", "c-id"],
      ["User", "c-user wide"],
      ["Site", "c-site wide"],
      ["Waits since", "c-created wide"],
      ["Priority", "c-priority"],
      ["", "c-action wide"],
    ];
    this.tableCard = h(
      "div",
      { class: "table-card" },
      this.line,
      h(
        "table",
        { class: "queue" },
        h(
          "caption",
          { class: "unseen" },
          "Jobs that wait, in their order. Alt with the arrow keys moves the job of a row.",
        ),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...heads.map(([label, style]) =>
              h(
                "th",
                { scope: "col", class: style },
                label || h("span", { class: "unseen" }, style === "c-handle" ? "Move" : "Actions"),
              ),
            ),
          ),
        ),
        this.body,
      ),
    );
    this.head.append(this.summary);
    this.element.append(
      this.heldBack,
      this.tableCard,
      this.empty,
      this.pager.element,
      h(
        "p",
        { class: "soft hint keys-hint" },
        "Drag a job by its handle, or on its row press ",
        h("kbd", {}, "Alt ↑"),
        " ",
        h("kbd", {}, "Alt ↓"),
        " to move it, ",
        h("kbd", {}, "+"),
        " ",
        h("kbd", {}, "−"),
        " to change its priority. Users take turns within a priority, and each ten minutes of waiting count as one more, so that nothing waits for ever.",
      ),
    );
    this.jobs = [];
    this.timer = setInterval(() => this.refresh(), LOOK); // whether the host has room is telemetry
  }

  get page() {
    return Math.max(0, Number(this.route.params.page) || 0);
  }

  take(route) {
    if (route.name !== "queue") return false;
    this.route = route;
    this.refresh();
    return true;
  }

  close() {
    super.close();
    clearInterval(this.timer);
  }

  async load() {
    const offset = this.page * PAGE;
    const params = { offset, limit: PAGE };
    const [queue, answer] = await Promise.all([
      this.get("/queue"),
      this.app.api.request("GET", "/queue/jobs", { params, signal: this.abort.signal }),
    ]);
    const jobs = await answer.json(),
      total = Number(answer.headers.get("x-total-count"));
    setText(
      this.summary,
      `${counted(queue.total_queued, "job")} ${queue.total_queued === 1 ? "waits" : "wait"}${queue.held ? `, ${number(queue.held)} held` : ""}; ${number(queue.running_jobs)} handed over`,
    );
    setText(this.heldBack, queue.held_back ? `Nothing starts on this host just now: ${queue.held_back}.` : "");
    this.heldBack.hidden = !queue.held_back;
    if (this.drag.active) return this.refresh();
    this.jobs = jobs;
    this.rows.show(jobs);
    this.pager.show({ from: offset, shown: jobs.length, total, more: offset + jobs.length < total });
    this.tableCard.hidden = jobs.length === 0;
    this.empty.hidden = jobs.length > 0;
    if (!jobs.length && !this.empty.childNodes.length) {
      this.empty.append(
        emptyState(
          "Nothing waits.",
          h("p", { class: "soft" }, "Jobs that cannot start at once wait here, and you can say which goes first."),
          h("p", {}, h("a", { class: "button", href: link("jobs") }, "All jobs")),
        ),
      );
    }
  }

  turn(step) {
    const page = step === -Infinity ? 0 : this.page + step;
    if (page < 0 || (step > 0 && this.jobs.length < PAGE)) return;
    this.app.router.go("queue", "", { page: page || "" });
  }

  async change(job, priority) {
    const wanted = Math.max(-HIGHEST, Math.min(HIGHEST, priority));
    if (!(await setPriority(this.app, job, wanted))) return;
    await this.load();
    const now = this.jobs.find((each) => each.id === job.id);
    this.app.announcer.say(
      now ? `Job ${job.id}: priority ${wanted}, place ${now.position}` : `Job ${job.id}: priority ${wanted}`,
    );
  }

  #place(from, to) {
    const job = this.jobs[from],
      priority = priorityAt(this.jobs, from, to);
    if (!this.app.session.owns(job.user) || priority === null) return;
    this.change(job, priority);
  }

  #pressed(event) {
    const row = event.target.closest("tr");
    const from = [...this.body.rows].indexOf(row),
      job = this.jobs[from];
    if (!job || event.target.matches("input") || event.ctrlKey || event.metaKey) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const raise = { "+": 1, "=": 1, "-": -1, "−": -1 }[event.key];
    if (step && event.altKey) {
      event.preventDefault();
      if (this.jobs[from + step]) this.#place(from, from + step);
    } else if (step) {
      event.preventDefault();
      (step > 0 ? row.nextElementSibling : row.previousElementSibling)?.querySelector("a").focus();
    } else if (raise && !event.altKey && this.app.session.owns(job.user)) {
      event.preventDefault();
      this.change(job, job.priority + raise);
    }
  }
}

/** A job that waits. */
class QueueRow {
  constructor(view, job) {
    this.view = view;
    this.job = job;
    const button = (label, text, step) =>
      h(
        "button",
        {
          type: "button",
          class: "small step",
          title: text,
          on: { click: () => view.change(this.job, this.job.priority + step) },
        },
        label,
      );
    this.handle = h("span", { class: "handle", title: "Drag to another place", "aria-hidden": "true" }, "⠿");
    this.position = h("td", { class: "n c-position" });
    this.anchor = h("a", { href: link("jobs", job.id) }, job.id);
    this.more = h("span", { class: "more" });
    this.who = h("span", { class: "more narrow" });
    this.state = new StateLabel();
    this.user = h("td", { class: "c-user wide" });
    this.site = h("td", { class: "c-site wide" });
    this.since = h("time", {});
    this.priority = h("output", { class: "priority" });
    this.lower = button("−", "Lower the priority", -1);
    this.raise = button("+", "Raise the priority", 1);
    this.hold = h("button", { type: "button", class: "small", on: { click: () => this.#do(["hold", "release"]) } });
    this.cancel = h("button", { type: "button", class: "small", on: { click: () => this.#do(["cancel"]) } }, "Cancel");
    this.element = h(
      "tr",
      {},
      h("td", { class: "c-handle" }, this.handle),
      this.position,
      h("th", { scope: "row", class: "c-id" }, this.anchor, this.more, this.who),
      this.user,
      this.site,
      h("td", { class: "c-created wide" }, this.since),
      h("td", { class: "c-priority" }, h("span", { class: "stepper" }, this.lower, this.priority, this.raise)),
      h("td", { class: "c-action wide" }, this.hold, " ", this.cancel),
    );
  }

  update(job) {
    this.job = job;
    const may = this.view.app.session.owns(job.user);
    const waitsFor = [...(job.after ?? []), ...(job.after_ok ?? [])];
    setText(this.position, number(job.position));
    setText(this.user, job.user);
    setText(this.site, job.site);
    setText(this.who, `${job.user} · ${job.site}`);
    setTime(this.since, job.created);
    setText(this.priority, job.priority);
    this.#showMore(job.held, waitsFor);
    this.element.classList.toggle("is-held", job.held);
    for (const element of [this.lower, this.raise, this.hold, this.cancel]) element.hidden = !may;
    this.handle.hidden = !may;
    setText(this.hold, job.held ? "Release" : "Hold");
    for (const [element, text] of [
      [this.lower, "Lower the priority of"],
      [this.raise, "Raise the priority of"],
      [this.hold, job.held ? "Release" : "Hold"],
      [this.cancel, "Cancel"],
    ])
      setAttribute(element, "aria-label", `${text} job ${job.id}`);
  }

  #showMore(held, waitsFor) {
    const text = waitsFor.length
      ? `waits for ${waitsFor.slice(0, 3).join(", ")}${waitsFor.length > 3 ? ` and ${waitsFor.length - 3} more` : ""}`
      : "";
    if (held) {
      this.state.show(...standing({ ...this.job, status: "queued" }));
      this.more.replaceChildren(this.state.element, text);
    } else setText(this.more, text);
  }

  async #do(names) {
    const action = actionsFor(this.view.app, this.job).find(({ name }) => names.includes(name));
    if (action && (await action.run())) this.view.refresh();
  }
}
