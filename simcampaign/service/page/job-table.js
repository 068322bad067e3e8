import { Keyed, h, setAttribute, setText } from "./dom.js";
import { actionsFor } from "./job-actions.js";
import { link } from "./router.js";
import { StateLabel, standing } from "./states.js";
import { setSpan, setTime } from "./times.js";

// name, label, what it is sorted by, class
const COLUMNS = [
  ["state", "State", "state", "c-state"],
  ["id", "Job", "id", "c-id"],
  ["user", "User", "user", "c-user wide"],
  ["site", "Site", null, "c-site wide"],
  ["group", "Group", null, "c-group widest"],
  ["priority", "Priority", "priority", "c-priority n wide"],
  ["created", "Submitted", "created", "c-created"],
  ["took", "Took", null, "c-took n wide"],
  ["action", "", null, "c-action wide"],
];

/** The most telling thing about a job in a line. */
function describe({ message, status, return_code: code, application, series }) {
  if (message) return message;
  return [status === "failed" && code !== null && `exit code ${code}`, application, series].filter(Boolean).join(" · ");
}

/** The list of jobs as a table: sortable heads, arrow keys from row to row, Enter opens. */
export class JobTable {
  /** `sort(key)` is called with what is to be sorted by, `acted()` after something was done with a job. */
  constructor(app, sort, acted) {
    this.app = app;
    this.acted = acted;
    this.heads = new Map();
    const heads = COLUMNS.map(([, label, key, style]) => {
      const inner = key
        ? h(
            "button",
            { type: "button", class: "sort", on: { click: () => sort(key) } },
            label,
            h("span", { class: "arrow", "aria-hidden": "true" }),
          )
        : label || h("span", { class: "unseen" }, "Actions");
      const head = h("th", { scope: "col", class: style }, inner);
      if (key) this.heads.set(key, head);
      return head;
    });
    this.body = h("tbody", { on: { keydown: (event) => this.#moved(event) } });
    this.rows = new Keyed(
      this.body,
      (job) => job.id,
      (job) => this.#row(job),
    );
    this.table = h(
      "table",
      { class: "jobs" },
      h("caption", { class: "unseen" }, "Jobs"),
      h("thead", {}, h("tr", {}, ...heads)),
      this.body,
    );
    this.element = h("div", { class: "table-card" }, this.table);
  }

  showSort(key, descending) {
    for (const [each, head] of this.heads)
      setAttribute(head, "aria-sort", each === key ? (descending ? "descending" : "ascending") : null);
  }

  show(jobs) {
    this.rows.show(jobs);
  }

  #row(first) {
    const state = new StateLabel();
    const anchor = h("a", { href: link("jobs", first.id) }, first.id);
    const more = h("span", { class: "more" }),
      who = h("span", { class: "more narrow" });
    const cells = Object.fromEntries(COLUMNS.map(([name, , , style]) => [name, h("td", { class: style })]));
    const created = h("time", {}),
      took = h("span", {}),
      button = h("button", { type: "button", class: "small" });
    cells.id = h("th", { scope: "row", class: "c-id" }, anchor, more, who);
    cells.state.append(state.element);
    cells.created.append(created);
    cells.took.append(took);
    cells.action.append(button);
    let job = first;
    button.addEventListener("click", async () => {
      if (await this.#primary(job)?.run()) this.acted();
    });
    const update = (next) => {
      job = next;
      state.show(...standing(job));
      setText(more, describe(job));
      for (const name of ["user", "site", "group"]) {
        setText(cells[name], job[name]);
        setAttribute(cells[name], "title", job[name]);
      }
      setText(who, `${job.user} · ${job.site}`);
      setText(cells.priority, job.priority);
      setTime(created, job.created);
      setSpan(took, job.start_time, job.end_time);
      const action = this.#primary(job);
      button.hidden = !action;
      button.disabled = action?.disabled ?? false;
      setText(button, action?.label ?? "");
      setAttribute(button, "aria-label", action ? `${action.label} job ${job.id}` : null);
    };
    return { element: h("tr", {}, ...COLUMNS.map(([name]) => cells[name])), update };
  }

  /** The one action that a row offers; the others are on the job's own page. */
  #primary(job) {
    return actionsFor(this.app, job).find(({ name }) => name === "cancel" || name === "retry") ?? null;
  }

  #moved(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest("tr");
    if (!step || !row || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    if (!next) return;
    event.preventDefault();
    next.querySelector("a").focus();
  }
}
