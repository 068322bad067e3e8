import { Keyed, h, setText } from "./dom.js";
import { stateIcon } from "./states.js";
import { counted } from "./text.js";

/** Failed runs of a campaign, each with its cause, the end of its log, and where that is. */
export class Failures {
  constructor() {
    this.folder = "";
    this.title = h("h2", {});
    this.list = h("div", {});
    this.parts = new Keyed(
      this.list,
      (failure) => failure.run,
      (failure) => this.#make(failure),
    );
    this.element = h("section", { class: "card failures", hidden: true }, this.title, this.list);
    this.failures = [];
  }

  /** Show failures; `summary` is the path of the campaign's summary, beside which the logs lie. */
  show(failures, summary) {
    this.folder = summary ? summary.slice(0, summary.lastIndexOf("/") + 1) : "";
    this.failures = failures;
    this.element.hidden = failures.length === 0;
    setText(this.title, failures.length >= 20 ? "The first failures" : counted(failures.length, "failure"));
    this.parts.show(failures);
  }

  /** Open the failure of a run and go there; false if it is not listed. */
  open(condition, seed) {
    const end = `_${condition}_${String(seed).padStart(4, "0")}`;
    const failure = this.failures.find(({ run }) => run.endsWith(end) || run === end.slice(1));
    const element = failure && this.parts.get(failure.run);
    if (!element) return false;
    element.open = true;
    element.querySelector("summary").focus();
    element.scrollIntoView({ block: "center" });
    return true;
  }

  #make(failure) {
    const cause = h("span", { class: "soft" }),
      message = h("p", {}),
      tail = h("pre", { class: "log-tail", tabindex: "0" }),
      log = h("p", { class: "mono" });
    const element = h(
      "details",
      { class: "failure" },
      h("summary", {}, stateIcon("failed"), h("strong", {}, failure.run), " ", cause),
      h("div", { class: "failure-body" }, message, tail, log),
    );
    return {
      element,
      update: (next) => {
        setText(cause, (next.cause ?? "").replaceAll("_", " "));
        setText(message, next.message || "It left no message.");
        setText(tail, next.log_tail ?? "");
        tail.hidden = !next.log_tail;
        setText(log, next.job ? `Log: ${this.folder}logs/${next.job}.log` : "");
      },
    };
  }
}
