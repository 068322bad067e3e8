import { Emitter } from "./emitter.js";
import { Absence, looked } from "./presence.js";
import { readEvents } from "./sse.js";

const FIRST_PAUSE = 500,
  LONGEST_PAUSE = 8000;
const SILENCE = 40_000;

/**
 * The service's events, without gaps: after a break it asks for those behind the last one that it has.
 * While nobody looks it lets its connection go. Emits `event` with `{ kind, data }`, `state` with "live", "connecting" or "reconnecting", and `resumed` after a break.
 */
export class Stream extends Emitter {
  #api;
  #last = null;
  #abort = null;
  #wake = () => {};

  constructor(api) {
    super();
    this.#api = api;
    this.state = "connecting";
    window.addEventListener("online", () => this.#wake());
  }

  /** Listen from behind an event on, until it is stopped. */
  async start(since) {
    this.stop();
    this.#last = since;
    const abort = new AbortController();
    this.#abort = abort;
    let pause = FIRST_PAUSE,
      broken = false;
    this.#set("connecting");
    while (!abort.signal.aborted) {
      try {
        for await (const event of this.#events(abort)) {
          if (event === "open") {
            pause = FIRST_PAUSE;
            this.#set("live");
            if (broken) this.emit("resumed");
            broken = false;
          } else this.#take(event);
        }
      } catch (error) {
        if (error.status === 401 || abort.signal.aborted) break;
      }
      if (abort.signal.aborted) break;
      broken = true;
      if (document.hidden) {
        await looked();
        continue;
      }
      this.#set("reconnecting");
      await this.#rest(pause * (0.75 + Math.random() / 2));
      pause = Math.min(LONGEST_PAUSE, pause * 2);
    }
  }

  stop() {
    this.#abort?.abort();
    this.#wake();
  }

  async *#events(outer) {
    const silence = new AbortController(),
      absence = new Absence();
    let timer = null;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
    };
    heard();
    try {
      const signal = AbortSignal.any([outer.signal, silence.signal, absence.signal]);
      const answer = await this.#api.request("GET", "/events", { params: { since: this.#last }, signal });
      yield "open";
      for await (const event of readEvents(answer)) {
        heard();
        yield event;
      }
    } finally {
      clearTimeout(timer);
      absence.close();
    }
  }

  #take({ kind, data }) {
    if (!kind) return;
    this.#last = data.seq ?? this.#last;
    this.emit("event", { kind, data });
  }

  #set(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit("state", state);
  }

  #rest(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
