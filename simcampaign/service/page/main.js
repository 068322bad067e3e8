import { Announcer } from "./announcer.js";
import { Api } from "./api.js";
import { h } from "./dom.js";
import { Notices } from "./notices.js";
import { Router } from "./router.js";
import { Session } from "./session.js";
import { Shell } from "./shell.js";
import { Shortcuts } from "./shortcuts.js";
import { SignIn } from "./signin.js";
import { Remembered } from "./storage.js";
import { Stream } from "./stream.js";
import { ThemeSwitch } from "./theme.js";
import { keepTimes } from "./times.js";
import { CampaignView } from "./campaign-view.js";
import { CampaignsView } from "./campaigns-view.js";
import { HostView } from "./host-view.js";
import { JobView } from "./job-view.js";
import { JobsView } from "./jobs-view.js";
import { QueueView } from "./queue-view.js";
import { SubmitView } from "./submit-view.js";

const VIEWS = {
  jobs: [JobsView, JobView],
  queue: [QueueView],
  campaigns: [CampaignsView, CampaignView],
  host: [HostView],
  submit: [SubmitView],
};

/** The page put together: who uses it, what it hears, and the view that is open. */
class App {
  constructor() {
    this.remembered = new Remembered();
    this.session = new Session();
    this.api = new Api(this.session);
    this.stream = new Stream(this.api);
    this.router = new Router();
    this.announcer = new Announcer(document.getElementById("announcements"));
    this.notices = new Notices(document.getElementById("notices"), this.announcer);
    this.shortcuts = new Shortcuts(this.remembered);
    this.theme = new ThemeSwitch(this.remembered);
    this.shell = new Shell(this, this.theme);
    this.main = document.getElementById("main");
    this.view = null;
    this.signIn = null;
    document.getElementById("shell").replaceWith(this.shell.element);
    this.#listen();
    this.#addShortcuts();
    keepTimes();
  }

  #listen() {
    this.stream.on("state", (state) => {
      this.shell.showStream(state);
      if (state === "reconnecting") this.announcer.say("The connection to the service is lost; reconnecting");
    });
    this.stream.on("resumed", () => {
      this.announcer.say("The connection is back");
      this.view?.refresh();
    });
    this.stream.on("event", (event) => {
      this.announcer.heard(event);
      this.view?.heard(event);
    });
    this.session.on("changed", () => this.shell.showSession());
    this.session.on("refused", (reason) => this.#askForToken(reason));
    this.router.on("route", (route) => {
      if (!this.signIn) this.#show(route, true);
    });
  }

  #addShortcuts() {
    for (const [key, name] of [
      ["j", "jobs"],
      ["q", "queue"],
      ["c", "campaigns"],
      ["h", "host"],
      ["s", "submit"],
    ]) {
      const item = this.shell.items.get(name);
      this.shortcuts.add(`g ${key}`, `Go to ${item.textContent}`, () => {
        if (!item.hidden) this.router.go(name);
      });
    }
    this.shortcuts.add("/", "Search in the list of jobs", () => this.view?.focusSearch?.());
    this.shortcuts.add("[", "Previous page", () => this.view?.turn?.(-1));
    this.shortcuts.add("]", "Next page", () => this.view?.turn?.(1));
    this.shortcuts.add("t", "Change the theme", () => this.theme.next());
  }

  /** Find out who uses the page, listen, and show the view. */
  async start() {
    let who, overview;
    try {
      [who, overview] = await Promise.all([this.api.get("/api/me"), this.api.get("/api/overview")]);
    } catch (error) {
      if (error.status === 401) return; // the form is shown
      this.main.replaceChildren(h("p", { class: "notice bad" }, `${error.message} This page tries again in a moment.`));
      setTimeout(() => this.start(), 2000);
      return;
    }
    this.session.known(who);
    this.stream.start(overview.last_event);
    this.#findCampaigns();
    this.#show(this.router.route, false);
  }

  async #findCampaigns() {
    const there = await this.api.get("/campaigns", { limit: 1 }).then(
      () => true,
      () => false,
    );
    this.shell.showCampaigns(there);
  }

  #show(route, moved) {
    const kinds = VIEWS[route.name] ?? VIEWS.jobs;
    const Kind = route.id && kinds[1] ? kinds[1] : kinds[0];
    this.shell.showRoute(route.name);
    if (this.view instanceof Kind && this.view.take(route)) return;
    this.view?.close();
    this.view = new Kind(this, route);
    this.main.replaceChildren(this.view.element);
    document.title = `${this.view.title} · job manager`;
    this.view.refresh();
    if (!moved) return;
    scrollTo(0, 0);
    this.view.element.querySelector("h1")?.focus({ preventScroll: true });
  }

  #askForToken(reason) {
    if (this.signIn) {
      if (reason) this.signIn.show(reason);
      return;
    }
    this.stream.stop();
    this.view?.close();
    this.view = null;
    this.session.known({ username: "", role: "viewer" });
    this.signIn = new SignIn((token) => this.#enter(token));
    this.main.replaceChildren(this.signIn.element);
    document.title = "Sign in · job manager";
    this.signIn.show(reason);
  }

  async #enter(token) {
    if (/[^\x21-\x7e]/.test(token)) return "A token has neither blanks nor letters outside of ASCII.";
    this.session.token = token;
    try {
      await this.api.get("/api/me");
    } catch (error) {
      if (error.status === 401) return ""; // it was asked for again, with the reason
      this.session.token = "";
      return error.message;
    }
    this.signIn = null;
    await this.start();
    this.announcer.say(`Signed in as ${this.session.user}, ${this.session.role}`);
    return "";
  }

  signOut() {
    this.session.token = "";
    this.session.refuse("");
  }
}

new App().start();
