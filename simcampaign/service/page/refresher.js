/** Does something soon after it is asked for: never twice at a time, not more often than told, and not while nobody looks. */
export class Refresher {
  #work;
  #pause;
  #wanted = false;
  #busy = false;
  #next = 0;
  #timer = null;
  #closed = false;

  constructor(work, pause = 1000) {
    this.#work = work;
    this.#pause = pause;
    this.onVisible = () => {
      if (!document.hidden && this.#wanted) this.#plan();
    };
    document.addEventListener("visibilitychange", this.onVisible);
  }

  request() {
    this.#wanted = true;
    this.#plan();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.onVisible);
  }

  #plan() {
    if (this.#busy || this.#timer !== null || this.#closed || document.hidden) return;
    this.#timer = setTimeout(() => this.#run(), Math.max(0, this.#next - performance.now()));
  }

  async #run() {
    this.#timer = null;
    this.#wanted = false;
    this.#busy = true;
    const began = performance.now();
    try {
      await this.#work();
    } finally {
      // A slow answer is not asked for all the time.
      this.#next = performance.now() + Math.max(this.#pause, 2 * (performance.now() - began));
      this.#busy = false;
      if (this.#wanted) this.#plan();
    }
  }
}
