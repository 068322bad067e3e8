import { h, setAttribute, setText, svg } from "./dom.js";
import { link } from "./router.js";

// name, label, picture, and the role that it needs
const VIEWS = [
  ["jobs", "Jobs", "M2 3h12M2 8h12M2 13h12", "viewer"],
  ["queue", "Queue", "M3 13V6m5 7V3m5 10V9M1 15h14", "viewer"],
  ["campaigns", "Campaigns", "M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z", "viewer"],
  ["host", "Host", "M1 9h3l2-6 4 11 2-5h3", "viewer"],
  ["submit", "Submit", "M8 2v12M2 8h12", "submitter"],
];
const STREAM_LABELS = { live: "Live", connecting: "Connecting…", reconnecting: "Reconnecting…" };

/** The head of the page: where to go, whether it is live, who one is. */
export class Shell {
  constructor(app, themeSwitch) {
    this.app = app;
    this.links = new Map(
      VIEWS.map(([name, label, path]) => [name, h("a", { href: link(name) }, navIcon(path), h("span", {}, label))]),
    );
    this.items = new Map(
      [...this.links].map(([name, each]) => [name, h("li", { hidden: name === "campaigns" }, each)]),
    );
    this.stream = h("span", { class: "stream" });
    this.streamText = h("span", {});
    this.stream.append(h("span", { class: "dot", "aria-hidden": "true" }), this.streamText);
    this.user = h("span", { class: "user" });
    this.role = h("span", { class: "role" });
    this.signOut = h(
      "button",
      { type: "button", class: "quiet", hidden: true, on: { click: () => app.signOut() } },
      "Sign out",
    );
    const help = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": "Keyboard shortcuts",
        title: "Keyboard shortcuts (?)",
        on: { click: () => app.shortcuts.show() },
      },
      "?",
    );
    this.nav = h("nav", { "aria-label": "Views" }, h("ul", {}, ...this.items.values()));
    this.element = h(
      "header",
      { class: "shell" },
      h(
        "a",
        { class: "brand", href: link("jobs") },
        h("img", { src: "/page/icon.svg", alt: "", width: 26, height: 26 }),
        h("span", {}, "simcampaign", h("small", {}, "job manager")),
      ),
      this.nav,
      h(
        "div",
        { class: "tools" },
        this.stream,
        h("span", { class: "who" }, this.user, this.role),
        this.signOut,
        themeSwitch.element,
        help,
      ),
    );
    this.showSession();
    this.showStream(app.stream.state);
  }

  showRoute(name) {
    for (const [each, element] of this.links) setAttribute(element, "aria-current", each === name ? "page" : null);
  }

  showStream(state) {
    this.stream.dataset.state = state;
    setText(this.streamText, STREAM_LABELS[state]);
  }

  showSession() {
    const { session } = this.app;
    setText(this.user, session.user);
    setText(this.role, session.user ? session.role : "");
    this.signOut.hidden = !session.token;
    this.nav.hidden = !session.user;
    this.stream.hidden = !session.user;
    for (const [name, , , role] of VIEWS) if (name !== "campaigns") this.items.get(name).hidden = !session.may(role);
  }

  showCampaigns(there) {
    this.items.get("campaigns").hidden = !there;
  }
}

function navIcon(path) {
  return svg(
    "svg",
    { viewBox: "0 0 16 16", width: 18, height: 18, class: "nav-icon", "aria-hidden": "true" },
    svg("path", { d: path }),
  );
}
