import { counted } from "./text.js";

const PAUSE = 4000;
const ENDS = { completed: "completed", failed: "failed", cancelled: "cancelled", lost: "lost" };

/** Says to screen readers what happened: at once what a person did, and at intervals what happens by itself. */
export class Announcer {
  #element;
  #ended = new Map();
  #timer = null;

  constructor(element) {
    this.#element = element;
  }

  say(text) {
    this.#element.textContent = "";
    // A live region says what is put in after it was empty, also the same again.
    requestAnimationFrame(() => {
      this.#element.textContent = text;
    });
  }

  /** Count the ends of jobs, and tell them together. */
  heard({ kind, data }) {
    const status = kind === "job_cancelled" ? "cancelled" : kind === "job_completed" ? data.status : "";
    if (!(status in ENDS)) return;
    this.#ended.set(status, [...(this.#ended.get(status) ?? []), data.job_id].slice(-1000));
    this.#timer ??= setTimeout(() => this.#tell(), PAUSE);
  }

  #tell() {
    const parts = [...this.#ended].map(
      ([status, ids]) => `${ids.length === 1 ? `job ${ids[0]}` : counted(ids.length, "job")} ${ENDS[status]}`,
    );
    this.#ended.clear();
    this.#timer = null;
    this.say(parts.join(", "));
  }
}
