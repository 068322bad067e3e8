/** Calls whoever asked for it. */
export class Emitter {
  #listeners = new Map();

  /** Call `listener` at each event of a name; returns what ends that. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.#listeners.get(name).delete(listener);
  }

  emit(name, value) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        reportError(error); // whoever emits has no part in it
      }
    }
  }
}
