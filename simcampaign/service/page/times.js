import { h, setAttribute, setText } from "./dom.js";
import { absolute, ago, duration } from "./text.js";

/** A moment as an element: relative, with the absolute time as its title. */
export function timeElement(iso) {
  const element = h("time", {});
  setTime(element, iso);
  return element;
}

export function setTime(element, iso) {
  const moment = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(moment)) {
    for (const name of ["datetime", "title", "data-at"]) element.removeAttribute(name);
    setText(element, "");
    return;
  }
  if (element.getAttribute("datetime") !== iso) {
    setAttribute(element, "datetime", iso);
    setAttribute(element, "title", absolute(moment));
    element.dataset.at = moment;
  }
  setText(element, ago(moment));
}

/** Show how long something took; while it has no end, how long it has taken. */
export function setSpan(element, start, end) {
  const from = start ? Date.parse(start) : NaN;
  if (Number.isNaN(from) || end) delete element.dataset.since;
  else element.dataset.since = from;
  if (Number.isNaN(from)) setText(element, "");
  else setText(element, duration(Math.max(0, (end ? Date.parse(end) : Date.now()) - from) / 1000));
}

/** Keep relative times true while somebody looks. */
export function keepTimes() {
  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now();
    for (const element of document.querySelectorAll("time[data-at]"))
      setText(element, ago(Number(element.dataset.at), now));
    for (const element of document.querySelectorAll("[data-since]")) {
      setText(element, duration(Math.max(0, Math.floor((now - Number(element.dataset.since)) / 1000))));
    }
  }, 1000);
}
