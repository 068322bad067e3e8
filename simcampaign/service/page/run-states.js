import { h } from "./dom.js";

// Worst first: a dot that stands for several runs shows the first of these that is among them.
const WORST = ["failed", "incomplete", "missing", "unlisted", "stale", "queued", "in flight", "running", "done"];
const SIGNS = {
  done: "✓",
  running: "▸",
  "in flight": "▸",
  queued: "○",
  failed: "✕",
  incomplete: "◐",
  missing: "·",
  stale: "↻",
  unlisted: "?",
};
const OTHER = "?";

/** How bad a state of runs is: greater is worse. */
export function badness(label) {
  const at = WORST.indexOf(label);
  return at < 0 ? WORST.length + 1 : WORST.length - at;
}

export function signOf(label) {
  return SIGNS[label] ?? OTHER;
}

/** The coloured sign of a state of runs; the label beside it says the same. */
export function runChip(label) {
  const style = label in SIGNS ? label.replaceAll(" ", "-") : "other";
  return h("span", { class: `chip r-${style}`, "aria-hidden": "true" }, signOf(label));
}

/** Labels of counts, the best first. */
export function ordered(labels) {
  return [...labels].sort((one, other) => badness(one) - badness(other));
}
