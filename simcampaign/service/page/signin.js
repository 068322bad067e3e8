import { h, setText } from "./dom.js";

/** The form that asks for a token. Calls `enter(token)`; it returns what is wrong, or nothing. */
export class SignIn {
  constructor(enter) {
    this.input = h("input", {
      type: "password",
      name: "token",
      id: "token",
      autocomplete: "current-password",
      spellcheck: "false",
      required: true,
      "aria-describedby": "token-fault",
    });
    this.fault = h("p", { class: "fault", id: "token-fault", role: "alert" });
    this.button = h("button", { type: "submit", class: "primary" }, "Sign in");
    const form = h(
      "form",
      { on: { submit: (event) => this.#submit(event, enter) } },
      h("label", { for: "token" }, "Token"),
      this.input,
      this.fault,
      this.button,
    );
    this.element = h(
      "section",
      { class: "card sign-in" },
      h("h1", { tabindex: "-1" }, "Sign in"),
      h(
        "p",
        { class: "soft" },
        "This job manager wants to know who you are. Its owner gives out tokens. Yours is kept until this tab is closed.",
      ),
      form,
    );
  }

  show(reason) {
    setText(this.fault, reason);
    this.input.focus();
  }

  async #submit(event, enter) {
    event.preventDefault();
    this.button.disabled = true;
    const fault = await enter(this.input.value.trim());
    this.button.disabled = false;
    if (fault) {
      this.show(fault);
      this.input.select();
    }
  }
}
