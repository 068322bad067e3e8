import { h } from "./dom.js";

const SHOWN = 7000;

/** Short messages in the corner: what was done, or why it was not. */
export class Notices {
  #element;
  #announcer;

  constructor(element, announcer) {
    this.#element = element;
    this.#announcer = announcer;
    element.setAttribute("role", "region");
    element.setAttribute("aria-label", "Messages");
  }

  done(text) {
    this.#show(text, "");
  }

  /** Say what went wrong, and what to do about it. */
  failed(error) {
    const hint = error.hint ? ` ${error.hint}` : "";
    this.#show(`${error.message}${hint}`, "bad");
  }

  #show(text, kind) {
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close message" }, "×");
    const notice = h("div", { class: `toast ${kind}` }, h("p", {}, text), close);
    const remove = () => notice.remove();
    close.addEventListener("click", remove);
    this.#element.append(notice);
    this.#announcer.say(text);
    while (this.#element.children.length > 3) this.#element.firstChild.remove();
    if (kind !== "bad") setTimeout(remove, SHOWN);
  }

  /** Do something, say how it went, and return whether it went well. */
  async attempt(action, text) {
    try {
      const answer = await action();
      const said = typeof text === "function" ? text(answer) : text;
      if (said) this.done(said);
      return true;
    } catch (error) {
      if (error.name === "AbortError") return false;
      if (error.status === undefined) throw error;
      this.failed(error);
      return false;
    }
  }
}
