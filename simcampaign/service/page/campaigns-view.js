import { Keyed, h, setText } from "./dom.js";
import { link } from "./router.js";
import { ordered } from "./run-states.js";
import { StateLabel } from "./states.js";
import { number } from "./text.js";
import { setTime } from "./times.js";
import { View, emptyState } from "./view.js";

const MOST = 1000;
const HEADS = [
  ["State", "c-state"],
  ["Campaign", "c-id"],
  ["User", "c-user wide"],
  ["Kind", "wide"],
  ["Runs", "n"],
  ["Progress", "c-progress wide"],
  ["Started", "c-created"],
];

/** All campaigns, newest first. */
export class CampaignsView extends View {
  constructor(app, route) {
    super(app, route, "Campaigns");
    this.body = h("tbody", {});
    this.rows = new Keyed(
      this.body,
      (campaign) => campaign.id,
      (campaign) => campaignRow(campaign),
    );
    this.table = h(
      "div",
      { class: "table-card", hidden: true },
      h(
        "table",
        { class: "campaigns" },
        h("caption", { class: "unseen" }, "Campaigns"),
        h("thead", {}, h("tr", {}, ...HEADS.map(([label, style]) => h("th", { scope: "col", class: style }, label)))),
        this.body,
      ),
    );
    this.empty = h(
      "div",
      { hidden: true },
      emptyState(
        "There are no campaigns.",
        h(
          "p",
          { class: "soft" },
          "A campaign simulates every condition with every seed. Programs start one with POST /campaigns; it appears here at once.",
        ),
      ),
    );
    this.element.append(this.table, this.empty);
  }

  heard({ kind }) {
    if (kind.startsWith("campaign_")) this.refresh();
  }

  async load() {
    const campaigns = await this.get("/campaigns", { limit: MOST });
    this.rows.show(campaigns.toSorted((one, other) => Date.parse(other.created) - Date.parse(one.created)));
    this.table.hidden = campaigns.length === 0;
    this.empty.hidden = campaigns.length > 0;
  }
}

function campaignRow(first) {
  const state = new StateLabel(),
    created = h("time", {});
  const user = h("td", { class: "c-user wide" }),
    kind = h("td", { class: "wide" }),
    runs = h("td", { class: "n" });
  const bar = h("div", { class: "share", "aria-hidden": "true" }),
    done = h("span", { class: "soft" });
  const anchor = h("a", { href: link("campaigns", first.id) }),
    id = h("span", { class: "more" });
  const element = h(
    "tr",
    {},
    h("td", { class: "c-state" }, state.element),
    h("th", { scope: "row", class: "c-id" }, anchor, id),
    user,
    kind,
    runs,
    h("td", { class: "c-progress wide" }, h("div", { class: "progress" }, bar, done)),
    h("td", { class: "c-created" }, created),
  );
  const update = (campaign) => {
    state.show(campaign.status, campaign.cancelling ? "ending" : campaign.status);
    setText(anchor, campaign.name || campaign.id);
    setText(id, campaign.name ? campaign.id : "");
    setText(user, campaign.user);
    setText(kind, campaign.kind);
    setText(runs, number(campaign.runs));
    showShares(bar, campaign.counts);
    setText(done, campaign.runs ? `${Math.floor((100 * (campaign.counts.done ?? 0)) / campaign.runs)} % done` : "");
    setTime(created, campaign.created);
  };
  return { element, update };
}

/** A bar of the shares of states. */
export function showShares(bar, counts) {
  const labels = ordered(Object.keys(counts).filter((label) => counts[label]));
  bar.replaceChildren(
    ...labels.map((label) => {
      const part = h("span", { class: `r-${label.replaceAll(" ", "-")}` });
      part.style.flexGrow = counts[label];
      return part;
    }),
  );
}
