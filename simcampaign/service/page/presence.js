const PATIENCE = 10_000;

/** Resolve once somebody looks at the page. */
export function looked() {
  return new Promise((resolve) => {
    if (!document.hidden) resolve();
    else document.addEventListener("visibilitychange", () => resolve(), { once: true });
  });
}

/** Says when nobody has looked for a while: browsers have few connections to a host, and all tabs share them. */
export class Absence {
  #abort = new AbortController();
  #timer = null;

  constructor() {
    document.addEventListener("visibilitychange", this.#look);
    this.#look();
  }

  get signal() {
    return this.#abort.signal;
  }

  close() {
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#look);
  }

  #look = () => {
    clearTimeout(this.#timer);
    if (document.hidden) this.#timer = setTimeout(() => this.#abort.abort(), PATIENCE);
  };
}
