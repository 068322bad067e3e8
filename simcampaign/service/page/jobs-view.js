import { h, setText } from "./dom.js";
import { JobFilters } from "./job-filters.js";
import { JobTable } from "./job-table.js";
import { Pager } from "./pager.js";
import { changed } from "./job-events.js";
import { link } from "./router.js";
import { StateCounts } from "./state-counts.js";
import { counted } from "./text.js";
import { View, emptyState } from "./view.js";

const PAGE = 50;
const FILTERS = ["text", "user", "site", "group", "series"];

/** All jobs: counts per state, filters, and the list, page by page. */
export class JobsView extends View {
  constructor(app, route) {
    super(app, route, "Jobs");
    this.counts = new StateCounts((states) => this.#filter({ status: states.join(",") }));
    this.filters = new JobFilters((wanted) => this.#filter(wanted));
    this.table = new JobTable(
      app,
      (key) => this.#sort(key),
      () => this.#acted(),
    );
    this.pager = new Pager((step) => this.turn(step));
    this.news = h("button", { type: "button", class: "pill", hidden: true, on: { click: () => this.#showNews() } });
    this.empty = h("div", { hidden: true });
    this.cursors = new Map([[0, null]]);
    this.rows = [];
    this.latest = [];
    this.pointing = false;
    this.table.element.addEventListener("pointerenter", () => {
      this.pointing = true;
    });
    this.table.element.addEventListener("pointerleave", () => {
      this.pointing = false;
      this.refresh();
    });
    this.element.append(
      this.counts.element,
      this.filters.element,
      h("div", {}, h("div", { class: "news" }, this.news), this.table.element, this.empty),
      this.pager.element,
    );
    this.#showParams();
    this.get("/api/names").then(
      (names) => this.filters.propose(names),
      () => {},
    );
  }

  get params() {
    const given = this.route.params;
    return {
      ...given,
      states: given.status ? given.status.split(",") : [],
      sort: given.sort ?? "created",
      descending: given.order !== "up",
      page: Math.max(0, Number(given.page) || 0),
    };
  }

  take(route) {
    if (route.name !== "jobs" || route.id) return false;
    const same = ["status", "sort", "order", ...FILTERS].every(
      (name) => (route.params[name] ?? "") === (this.route.params[name] ?? ""),
    );
    const turned = (route.params.page ?? "") !== (this.route.params.page ?? "");
    if (!same) this.cursors = new Map([[0, null]]);
    this.route = route;
    if (!same || turned) this.fresh = true;
    this.#showParams();
    this.refresh();
    return true;
  }

  /** Rows that are shown change at once; the list itself is asked for again soon. */
  heard(event) {
    const at = this.rows.findIndex((job) => job.id === event.data.job_id);
    if (at >= 0) {
      this.rows = this.rows.with(at, changed(this.rows[at], event));
      this.table.rows.update(this.rows[at]);
    }
    this.refresh();
  }

  async load() {
    const { states, sort, descending, page } = this.params;
    const filter = Object.fromEntries(FILTERS.map((name) => [name, this.route.params[name]]));
    const cursor = this.cursors.has(page) ? this.cursors.get(page) : this.route.params.cursor;
    const params = { ...filter, status: states.join(","), sort, descending, cursor, limit: PAGE, brief: true };
    const asked = this.route,
      fresh = this.fresh;
    this.fresh = false;
    const [overview, answer] = await Promise.all([
      this.get("/api/overview", filter),
      this.app.api.request("GET", "/jobs", { params, signal: this.abort.signal }),
    ]);
    const jobs = await answer.json();
    if (asked !== this.route) return this.refresh(); // it was asked for something else meanwhile
    const next = answer.headers.get("x-next-cursor");
    if (next) this.cursors.set(page + 1, next);
    this.counts.showCounts(overview.counts);
    this.#showJobs(jobs, fresh);
    const total = StateCounts.total(overview.counts, states);
    this.pager.show({ from: page * PAGE, shown: jobs.length, total, more: next !== null });
    this.#showEmpty(jobs.length === 0);
  }

  /** Show a list. One that is being read keeps its rows: new ones wait behind a button. */
  #showJobs(jobs, fresh) {
    this.latest = jobs;
    const ids = new Set(this.rows.map((job) => job.id));
    const newer = jobs.filter((job) => !ids.has(job.id)).length;
    const read = this.pointing || scrollY > 80 || this.table.body.contains(document.activeElement);
    if (!read || fresh || !this.rows.length || (newer === 0 && jobs.length === this.rows.length)) {
      this.rows = jobs;
      this.news.hidden = true;
    } else {
      const now = new Map(jobs.map((job) => [job.id, job]));
      this.rows = this.rows.map((job) => now.get(job.id) ?? job);
      this.news.hidden = newer === 0;
      setText(this.news, `Show ${counted(newer, "newer job")}`);
    }
    this.table.show(this.rows);
  }

  /** Whoever did something wants to see what came of it. */
  #acted() {
    this.fresh = true;
    this.refresh();
  }

  #showNews() {
    this.rows = this.latest;
    this.news.hidden = true;
    this.table.show(this.rows);
    scrollTo(0, 0);
    this.heading.focus({ preventScroll: true });
  }

  #showEmpty(empty) {
    this.empty.hidden = !empty;
    this.table.element.hidden = empty;
    if (!empty) return;
    const filtered = this.params.states.length || FILTERS.some((name) => this.route.params[name]);
    const submit = this.app.session.may("submitter")
      ? h("p", {}, h("a", { class: "button primary", href: link("submit") }, "Submit a job"))
      : h("p", { class: "soft" }, "Jobs appear here as soon as somebody submits one.");
    this.empty.replaceChildren(
      filtered
        ? emptyState("No job matches.", h("p", { class: "soft" }, "Choose other states, or clear the filters."))
        : emptyState("There are no jobs yet.", submit),
    );
  }

  #showParams() {
    const { states, sort, descending } = this.params;
    this.counts.showChosen(states);
    this.filters.show(this.route.params);
    this.table.showSort(sort, descending);
  }

  #filter(wanted) {
    this.#go({ ...wanted, page: "", cursor: "" });
  }

  #sort(key) {
    const { sort, descending } = this.params;
    this.#go({ sort: key, order: sort === key && descending ? "up" : "", page: "", cursor: "" });
  }

  #go(changes) {
    this.app.router.replace("jobs", "", { ...this.route.params, ...changes });
  }

  /** Go to another page. */
  turn(step) {
    const page = Math.max(0, step === -Infinity ? 0 : this.params.page + step);
    const known = this.cursors.has(page);
    if (step > 0 && !known) return;
    const target = known ? page : 0;
    this.app.router.go("jobs", "", {
      ...this.route.params,
      page: target || "",
      cursor: target ? this.cursors.get(target) : "",
    });
    scrollTo(0, 0);
  }

  focusSearch() {
    this.filters.inputs.get("text").focus();
  }
}
