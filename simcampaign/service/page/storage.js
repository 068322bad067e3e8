/** What this browser remembers of the page; without storage, until the page is closed. */
export class Remembered {
  #kept = new Map();

  get(name, otherwise = null) {
    try {
      return localStorage.getItem(name) ?? otherwise;
    } catch {
      return this.#kept.get(name) ?? otherwise;
    }
  }

  set(name, value) {
    this.#kept.set(name, value);
    try {
      localStorage.setItem(name, value);
    } catch {
      /* it is kept for now */
    }
  }
}
