import { h } from "./dom.js";
import { counted, duration, money, number } from "./text.js";
import { setTime } from "./times.js";

/** The figures of a campaign: runs, jobs, time and cost. */
export class CampaignTiles {
  constructor() {
    this.created = h("time", {});
    this.element = h("dl", { class: "tiles" });
  }

  show({ runs, counts, cost, seconds_left: left, created, jobs }) {
    setTime(this.created, created);
    const tiles = [tile("Done", number(counts.done ?? 0), `of ${counted(runs, "run")}`)];
    if (counts.failed) tiles.push(tile("Failed", number(counts.failed)));
    if (typeof left === "number") tiles.push(tile("Time left", left >= 1 ? `about ${duration(left)}` : "almost none"));
    if (cost) tiles.push(...costs(cost));
    tiles.push(tile("Started", this.created));
    const inStates = Object.entries(jobs ?? {}).filter(([, count]) => count);
    if (inStates.length)
      tiles.push(tile("Jobs", null, inStates.map(([state, count]) => `${number(count)} ${state}`).join(", ")));
    this.element.replaceChildren(...tiles);
  }
}

function tile(label, value, remark = "") {
  return h(
    "div",
    {},
    h("dt", {}, label),
    h("dd", {}, value, remark ? h("small", {}, value === null ? remark : ` ${remark}`) : null),
  );
}

function costs({ so_far: spent, left, budget, currency }) {
  const known = (amount) => (typeof amount === "number" ? money(amount, currency) : "unknown");
  const lid = typeof budget === "number" ? `of a budget of ${money(budget, currency)}` : "";
  return [tile("Cost so far", known(spent), lid), tile("Cost left", known(left))];
}
