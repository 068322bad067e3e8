import { jobPath } from "./api.js";
import { Keyed, h, setText } from "./dom.js";
import { stateIcon } from "./states.js";
import { link } from "./router.js";
import { readEvents } from "./sse.js";
import { counted } from "./text.js";

const TAIL = 8192;

/** Failed runs of a campaign, each with its cause and, once it is opened, the end of its log. */
export class Failures {
  constructor(app) {
    this.app = app;
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

  show(failures) {
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
      log = h("pre", {
        class: "log short",
        tabindex: "0",
        role: "region",
        "aria-label": `End of the log of ${failure.run}`,
        hidden: true,
      });
    const job = h("p", {}, failure.job ? h("a", { href: link("jobs", failure.job) }, `Job ${failure.job}`) : "");
    const element = h(
      "details",
      {
        class: "failure",
        on: {
          toggle: () => {
            if (element.open) this.#read(failure, log);
          },
        },
      },
      h("summary", {}, stateIcon("failed"), h("strong", {}, failure.run), " ", cause),
      h("div", { class: "failure-body" }, message, log, job),
    );
    return {
      element,
      update: (next) => {
        setText(cause, (next.cause ?? "").replaceAll("_", " "));
        setText(message, next.message ?? "");
      },
    };
  }

  async #read(failure, log) {
    if (!failure.job || log.textContent) return;
    try {
      const answer = await this.app.api.request("GET", jobPath(failure.job, "/log/events"), { params: { tail: TAIL } });
      for await (const { kind, data } of readEvents(answer)) {
        if (kind) log.append(data.text);
        if (kind) break;
      }
    } catch (error) {
      if (error.status === undefined) throw error;
    }
    log.hidden = !log.textContent;
    log.scrollTop = log.scrollHeight;
  }
}
