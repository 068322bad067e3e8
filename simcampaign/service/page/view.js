import { h, setText } from "./dom.js";
import { Refresher } from "./refresher.js";

/** What all views share: a heading, and that they look again when something happened. */
export class View {
  #refresher;
  #fault;

  constructor(app, route, title, pause = 1000) {
    this.app = app;
    this.route = route;
    this.title = title;
    this.abort = new AbortController();
    this.heading = h("h1", { tabindex: "-1" }, title);
    this.#fault = h("p", { class: "notice bad", hidden: true });
    this.head = h("div", { class: "view-head" }, this.heading);
    this.element = h("div", { class: "view", data: { view: route.name } }, this.head, this.#fault);
    this.#refresher = new Refresher(() => this.#load(), pause);
  }

  /** Look at the service again, soon. */
  refresh() {
    this.#refresher.request();
  }

  /** Something happened. Most views look again. */
  heard() {
    this.refresh();
  }

  /** Take another place in the same view; false if another view must be made for it. */
  take() {
    return false;
  }

  close() {
    this.abort.abort();
    this.#refresher.close();
  }

  get closed() {
    return this.abort.signal.aborted;
  }

  get(path, params) {
    return this.app.api.get(path, params, this.abort.signal);
  }

  async #load() {
    try {
      await this.load();
      this.#fault.hidden = true;
    } catch (error) {
      if (error.name === "AbortError" || this.closed) return;
      if (error.status === undefined) throw error;
      if (error.status === 429) this.refresh();
      if (error.status === 0 || error.status === 401 || error.status === 429) return; // the head of the page says so
      setText(this.#fault, error.message);
      this.#fault.hidden = false;
    }
  }
}

/** What a list shows in place of rows: that there are none, and what to do next. */
export function emptyState(title, ...content) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), ...content);
}
