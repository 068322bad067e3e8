import { freshId, h } from "./dom.js";

/** Show a dialog until it is closed; focus goes back to where it was. Returns the dialog. */
export function openDialog(title, ...content) {
  const id = freshId("dialog");
  const before = document.activeElement;
  const dialog = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), ...content);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask whether something that cannot be undone is meant; resolves to true if it is. */
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    let answer = false;
    const keep = h("button", { type: "button", autofocus: true }, "Keep");
    const go = h("button", { type: "button", class: "danger" }, action);
    const dialog = openDialog(title, h("p", {}, text), h("div", { class: "buttons end" }, keep, go));
    keep.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => {
      answer = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(answer));
  });
}
