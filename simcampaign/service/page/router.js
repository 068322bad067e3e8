import { Emitter } from "./emitter.js";

/** Return the address of a view: `link("jobs", "j1", {a: "b"})` is `#/jobs/j1?a=b`. */
export function link(name, id = "", params = {}) {
  const query = new URLSearchParams(
    Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  return `#/${name}${id ? `/${encodeURIComponent(id)}` : ""}${query.size ? `?${query}` : ""}`;
}

/** Where the page is, from what stands behind the `#`. Emits `route` with `{ name, id, params }`. */
export class Router extends Emitter {
  constructor() {
    super();
    window.addEventListener("hashchange", () => this.emit("route", this.route));
  }

  get route() {
    const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    const cut = path.indexOf("/");
    const name = cut < 0 ? path : path.slice(0, cut),
      id = cut < 0 ? "" : path.slice(cut + 1);
    return { name: name || "jobs", id: decoded(id), params: Object.fromEntries(new URLSearchParams(query)) };
  }

  go(name, id, params) {
    location.hash = link(name, id, params);
  }

  /** Change the parameters of the view that is open, without a step back for each. */
  replace(name, id, params) {
    history.replaceState(null, "", link(name, id, params));
    this.emit("route", this.route);
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
