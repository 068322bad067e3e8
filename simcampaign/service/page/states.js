import { h, setText, svg } from "./dom.js";

export const STATES = ["queued", "scheduled", "running", "completed", "failed", "cancelled", "lost"];
export const OVER = new Set(["completed", "failed", "cancelled", "lost"]);

// Each state has a shape of its own; colour only helps.
const SHAPES = {
  queued: [
    ["circle", { cx: 8, cy: 8, r: 6.2, class: "hollow" }],
    ["path", { d: "M8 4.6V8l2.3 1.6", class: "hollow" }],
  ],
  scheduled: [
    ["circle", { cx: 8, cy: 8, r: 6.2, class: "hollow" }],
    ["path", { d: "M8 1.8a6.2 6.2 0 0 1 0 12.4z" }],
  ],
  running: [["path", { d: "M3.6 1.9 13.6 8 3.6 14.1z" }]],
  completed: [
    ["circle", { cx: 8, cy: 8, r: 7 }],
    ["path", { d: "m4.7 8.3 2.3 2.3 4.3-4.9", class: "cut" }],
  ],
  failed: [
    ["path", { d: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" }],
    ["path", { d: "m5.5 5.5 5 5m0-5-5 5", class: "cut" }],
  ],
  cancelled: [
    ["circle", { cx: 8, cy: 8, r: 6.2, class: "hollow" }],
    ["path", { d: "m3.7 12.3 8.6-8.6", class: "hollow" }],
  ],
  lost: [
    ["path", { d: "M8 .8 15.2 8 8 15.2.8 8z" }],
    ["path", { d: "M6.2 6.4a1.8 1.8 0 1 1 2.6 1.7c-.6.3-.8.6-.8 1.2M8 11.4v.1", class: "cut" }],
  ],
  held: [
    ["rect", { x: 3, y: 2, width: 3.6, height: 12, rx: 1 }],
    ["rect", { x: 9.4, y: 2, width: 3.6, height: 12, rx: 1 }],
  ],
};
SHAPES.paused = SHAPES.held;
SHAPES.complete = SHAPES.completed;
SHAPES.incomplete = SHAPES.scheduled;

/** The picture of a state; it says nothing that the label beside it does not say. */
export function stateIcon(state) {
  const shapes = (SHAPES[state] ?? SHAPES.lost).map(([tag, properties]) => svg(tag, properties));
  return svg(
    "svg",
    { class: `icon s-${state}`, viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
    ...shapes,
  );
}

/** A state with its label, that can change. */
export class StateLabel {
  constructor() {
    this.label = h("span", { class: "state-label" });
    this.element = h("span", { class: "state" }, this.label);
    this.state = null;
  }

  show(state, label = state) {
    if (state !== this.state) {
      this.element.querySelector("svg")?.remove();
      this.element.prepend(stateIcon(state));
      this.state = state;
    }
    setText(this.label, label);
  }
}

/** What is shown as the state of a job, and how it is called. */
export function standing(job) {
  if (job.cancelling) return [job.status, "ending"];
  if (job.status === "queued" && job.held) return ["held", "held"];
  return [job.status, job.status];
}
