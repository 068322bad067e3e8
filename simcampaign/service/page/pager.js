import { h, setText } from "./dom.js";
import { number } from "./text.js";

/** Steps through the pages of a list. */
export class Pager {
  constructor(turn) {
    this.text = h("span", { class: "soft", "aria-live": "off" });
    this.first = h("button", { type: "button", on: { click: () => turn(-Infinity) } }, "First");
    this.before = h("button", { type: "button", on: { click: () => turn(-1) } }, "Previous");
    this.next = h("button", { type: "button", on: { click: () => turn(1) } }, "Next");
    this.buttons = h("span", { class: "buttons" }, this.first, this.before, this.next);
    this.element = h("nav", { class: "pager", "aria-label": "Pages" }, this.text, this.buttons);
  }

  show({ from, shown, total, more }) {
    setText(
      this.text,
      shown ? `${number(from + 1)}–${number(from + shown)} of ${number(Math.max(total, from + shown))}` : "",
    );
    this.first.disabled = this.before.disabled = from === 0;
    this.next.disabled = !more;
    this.buttons.hidden = from === 0 && !more;
    this.element.hidden = from === 0 && !more && !shown;
  }
}
