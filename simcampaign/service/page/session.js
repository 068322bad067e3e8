import { Emitter } from "./emitter.js";

const ROLES = ["viewer", "submitter", "admin"];
const KEY = "simcampaign-token";

/** Who uses the page: the token, for as long as the tab is open, and what its role may do. Emits `changed`, `refused`. */
export class Session extends Emitter {
  #storage;

  constructor(storage = sessionStorage) {
    super();
    this.#storage = storage;
    this.user = "";
    this.role = "viewer";
  }

  get token() {
    return this.#storage.getItem(KEY) ?? "";
  }

  set token(token) {
    if (token) this.#storage.setItem(KEY, token);
    else this.#storage.removeItem(KEY);
  }

  /** Take what the service says of whoever has the token. */
  known({ username, role }) {
    this.user = username;
    this.role = role;
    this.emit("changed");
  }

  /** The service wants a token, or another one; `reason` is what it said. */
  refuse(reason) {
    const tried = this.token !== "";
    this.token = "";
    this.emit("refused", tried ? reason : "");
  }

  may(role) {
    return ROLES.indexOf(this.role) >= ROLES.indexOf(role);
  }

  /** Tell whether jobs and campaigns of a user may be changed. */
  owns(user) {
    return this.may("admin") || (this.may("submitter") && this.user === user);
  }
}
