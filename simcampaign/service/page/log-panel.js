import { jobPath } from "./api.js";
import { h, setText } from "./dom.js";
import { Absence, looked } from "./presence.js";
import { readEvents } from "./sse.js";
import { bytes } from "./text.js";

const TAIL = 256 * 1024;
const KEPT = 2 ** 20;
const PAUSE = 1000;

/** The log of a job as it grows: its end, and whatever comes. `follow` keeps the newest line in view. */
export class LogPanel {
  #app;
  #id;
  #abort = new AbortController();
  #length = 0;
  #offset = null;

  constructor(app, id) {
    this.#app = app;
    this.#id = id;
    this.cut = h("p", { class: "soft log-cut", hidden: true });
    this.text = h("pre", {
      class: "log",
      tabindex: "0",
      role: "region",
      "aria-label": `Log of job ${id}`,
      on: { scroll: () => this.#scrolled() },
    });
    this.follow = h("input", { type: "checkbox", checked: true, on: { change: () => this.#toEnd() } });
    this.state = h("span", { class: "soft log-state" });
    const save = h("button", { type: "button", class: "small", on: { click: () => this.#save() } }, "Save all");
    this.element = h(
      "section",
      { class: "card log-card", "aria-labelledby": "log-title" },
      h(
        "div",
        { class: "card-head" },
        h("h2", { id: "log-title" }, "Log"),
        this.state,
        h("label", { class: "check" }, this.follow, " Follow"),
        save,
      ),
      this.cut,
      this.text,
    );
    this.empty = h("span", { class: "soft" }, "Nothing is printed yet.");
    this.text.append(this.empty);
    this.#read();
  }

  close() {
    this.#abort.abort();
  }

  async #read() {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await looked();
      const absence = new Absence();
      try {
        const params = this.#offset === null ? { tail: TAIL } : { offset: this.#offset };
        const answer = await this.#app.api.request("GET", jobPath(this.#id, "/log/events"), {
          params,
          signal: AbortSignal.any([signal, absence.signal]),
        });
        for await (const { kind, data } of readEvents(answer)) {
          if (!kind) continue;
          this.#take(data);
          setText(
            this.state,
            kind === "log_end" ? `${bytes(data.next_offset)}, complete` : `${bytes(data.next_offset)} so far`,
          );
          if (kind === "log_end") {
            if (!this.#length) setText(this.empty, "This job printed nothing.");
            return;
          }
        }
      } catch (error) {
        if (signal.aborted || [401, 404].includes(error.status)) return;
      } finally {
        absence.close();
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  #take({ offset, text, next_offset: next }) {
    if (this.#offset === null && offset > 0) this.#say(offset);
    this.#offset = next;
    if (!text) return;
    this.empty.remove();
    this.text.append(text);
    this.#length += text.length;
    while (this.#length > KEPT && this.text.childNodes.length > 1) {
      this.#length -= this.text.firstChild.length;
      this.text.firstChild.remove();
      this.#say(null);
    }
    if (this.follow.checked) this.#toEnd();
  }

  #say(left) {
    setText(
      this.cut,
      left === null
        ? "The beginning is left out here; “Save all” has it."
        : `The first ${bytes(left)} are left out here; “Save all” has them.`,
    );
    this.cut.hidden = false;
  }

  #toEnd() {
    if (this.follow.checked) this.text.scrollTop = this.text.scrollHeight;
  }

  /** Whoever scrolls up wants to read; back at the end, it follows again. */
  #scrolled() {
    this.follow.checked = this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 24;
  }

  async #save() {
    await this.#app.notices.attempt(async () => {
      const parts = [];
      for (let offset = 0; ;) {
        const answer = await this.#app.api.request("GET", jobPath(this.#id, "/log"), {
          params: { offset },
          signal: this.#abort.signal,
        });
        const next = Number(answer.headers.get("x-next-offset"));
        parts.push(await answer.text());
        if (next === offset) break;
        offset = next;
      }
      const url = URL.createObjectURL(new Blob(parts, { type: "text/plain" }));
      h("a", { href: url, download: `${this.#id}.log` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });
  }
}
