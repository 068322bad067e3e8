import { campaignPath } from "./api.js";
import { readMap } from "./campaign-map.js";
import { showShares } from "./campaigns-view.js";
import { CampaignTiles } from "./campaign-tiles.js";
import { confirmed } from "./dialogs.js";
import { h, setText } from "./dom.js";
import { Failures } from "./failures.js";
import { HeatMap } from "./heat-map.js";
import { Refresher } from "./refresher.js";
import { link } from "./router.js";
import { StateLabel } from "./states.js";
import { View, emptyState } from "./view.js";

const OVER = new Set(["complete", "incomplete", "cancelled", "failed"]);
const RESUMABLE = new Set(["paused", "cancelled", "failed"]);
const MAP_PAUSE = 3000;

/** One campaign: how far it is, what it costs, the map of its runs, its failures, and what can be done with it. */
export class CampaignView extends View {
  constructor(app, route) {
    super(app, route, "Campaign");
    this.id = route.id;
    this.campaign = null;
    this.state = new StateLabel();
    this.message = h("p", { class: "job-message", hidden: true });
    this.bar = h("div", { class: "share large", "aria-hidden": "true" });
    this.tiles = new CampaignTiles();
    this.actions = h("div", { class: "buttons" });
    this.map = new HeatMap((condition, seed) => this.#openRun(condition, seed));
    this.failures = new Failures();
    this.mapRefresher = new Refresher(() => this.#loadMap(), MAP_PAUSE);
    this.summary = h("p", { class: "soft hint" });
    this.head.prepend(h("a", { class: "back", href: link("campaigns") }, "← Campaigns"));
    this.head.append(this.actions);
    this.about = h("p", { class: "soft" });
    this.body = h(
      "div",
      { hidden: true },
      h(
        "section",
        { class: "card", "aria-label": "Progress" },
        h("div", { class: "job-state" }, this.state.element, this.about),
        this.message,
        this.bar,
        this.tiles.element,
        this.summary,
      ),
      this.map.element,
      this.failures.element,
    );
    this.element.append(this.body);
    this.buttons = this.#makeButtons();
  }

  close() {
    super.close();
    this.map.close();
    this.mapRefresher.close();
  }

  refresh() {
    super.refresh();
    this.mapRefresher?.request();
  }

  heard({ kind, data }) {
    if (kind.startsWith("campaign_") && data.campaign_id === this.id) this.refresh();
  }

  async load() {
    try {
      this.campaign = await this.get(campaignPath(this.id));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.element.replaceChildren(
        this.head,
        emptyState(
          "There is no such campaign.",
          h("p", {}, h("a", { class: "button", href: link("campaigns") }, "All campaigns")),
        ),
      );
      return;
    }
    this.#show(this.campaign);
    this.body.hidden = false;
  }

  async #loadMap() {
    try {
      const grid = await readMap(this.app.api, this.id, this.abort.signal);
      this.map.element.hidden = grid === null;
      if (grid) this.map.show(grid);
    } catch (error) {
      if (error.status === 429) this.mapRefresher.request();
      else if (error.name !== "AbortError" && error.status === undefined) throw error;
    }
  }

  #show(campaign) {
    setText(this.heading, campaign.name || campaign.id);
    document.title = `${campaign.name || campaign.id} · job manager`;
    this.state.show(campaign.status, campaign.cancelling ? "ending" : campaign.status);
    setText(this.about, [campaign.kind, campaign.user, campaign.id].filter(Boolean).join(" · "));
    setText(this.summary, campaign.summary ? `Summary: ${campaign.summary}` : "");
    this.summary.hidden = !campaign.summary;
    setText(this.message, campaign.message ?? "");
    this.message.hidden = !campaign.message;
    showShares(this.bar, campaign.counts);
    this.tiles.show(campaign);
    this.failures.show(campaign.failures ?? [], campaign.summary);
    const may = this.app.session.owns(campaign.user);
    for (const { element, fits } of this.buttons) element.hidden = !may || !fits(campaign);
  }

  #makeButtons() {
    const post = (name, text) => () =>
      this.app.notices.attempt(() => this.app.api.send("POST", campaignPath(this.id, `/${name}`), {}), text);
    const sure = (title, text, label, action) => async () => ((await confirmed(title, text, label)) ? action() : false);
    const make = (label, fits, run, style = "") => {
      const element = h(
        "button",
        {
          type: "button",
          class: style,
          hidden: true,
          on: {
            click: async () => {
              if (await run()) this.refresh();
            },
          },
        },
        label,
      );
      this.actions.append(element);
      return { element, fits };
    };
    return [
      make("Pause", ({ status }) => status === "running", post("pause", "The campaign is paused; what runs goes on")),
      make("Resume", ({ status }) => RESUMABLE.has(status), post("resume", "The campaign goes on")),
      make(
        "Retry failed",
        ({ counts, status }) => counts.failed > 0 && status !== "cancelled",
        post("retry", "Failed runs are tried again"),
      ),
      make(
        "Cancel",
        ({ status }) => !OVER.has(status),
        sure(
          "Cancel this campaign?",
          "All of its jobs are ended. Runs that are done stay done.",
          "Cancel the campaign",
          post("cancel", "The campaign is being cancelled"),
        ),
      ),
      make(
        "Delete…",
        ({ status }) => OVER.has(status),
        sure("Delete this campaign?", "It is forgotten here; its files stay.", "Delete it", () => this.#remove()),
        "danger-quiet",
      ),
    ];
  }

  async #remove() {
    const done = await this.app.notices.attempt(
      () => this.app.api.send("DELETE", campaignPath(this.id)),
      "The campaign is deleted",
    );
    if (done) this.app.router.go("campaigns");
    return false;
  }

  #openRun(condition, seed) {
    if (this.failures.open(condition, seed)) return;
    this.app.announcer.say(`No failure of ${condition} with seed ${seed} is listed`);
  }
}
