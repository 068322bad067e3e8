import { h } from "./dom.js";

const ids = (text) => text.split(/[\s,]+/).filter(Boolean);

/** What may be said of every job: its names, what it waits for, whether it is held. */
export class CommonFields {
  constructor() {
    this.jobid = h("input", { type: "text", spellcheck: "false", placeholder: "made up by the service" });
    this.group = h("input", { type: "text", spellcheck: "false", placeholder: "default" });
    this.series = h("input", { type: "text", spellcheck: "false" });
    this.after = h("input", { type: "text", spellcheck: "false", placeholder: "job-1, job-2" });
    this.afterOk = h("input", { type: "text", spellcheck: "false" });
    this.held = h("input", { type: "checkbox" });
  }

  build(fields) {
    return [
      h(
        "details",
        {},
        h("summary", {}, "Names and order"),
        h(
          "div",
          { class: "grid" },
          fields.add("config.jobid", "Job id", this.jobid, "letters, digits, _ and -"),
          fields.add("config.group", "Group", this.group),
          fields.add("config.series", "Series", this.series),
          fields.add("config.after", "After these jobs", this.after, "however they end"),
          fields.add("config.after_ok", "After success of", this.afterOk),
          fields.add("config.held", "Held until it is released", this.held),
        ),
      ),
    ];
  }

  config() {
    const config = {};
    for (const [name, input] of [
      ["jobid", this.jobid],
      ["group", this.group],
      ["series", this.series],
    ])
      if (input.value.trim()) config[name] = input.value.trim();
    for (const [name, input] of [
      ["after", this.after],
      ["after_ok", this.afterOk],
    ])
      if (ids(input.value).length) config[name] = ids(input.value);
    if (this.held.checked) config.held = true;
    return config;
  }
}
