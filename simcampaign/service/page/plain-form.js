import { CommonFields } from "./common-fields.js";
import { h } from "./dom.js";

/** A job of simcampaign's own kind: an input file that the site's program takes, or a command where that is allowed. */
export class PlainForm {
  constructor(sites, commands) {
    this.site = h("select", {}, ...sites.map((name) => h("option", { value: name }, name)));
    this.command = commands
      ? h("input", { type: "text", spellcheck: "false", class: "mono", placeholder: "program argument …" })
      : null;
    this.name = h("input", { type: "text", spellcheck: "false", placeholder: "input.txt" });
    this.text = h("textarea", { rows: 8, spellcheck: "false", class: "mono" });
    this.upload = h("input", { type: "file", on: { change: () => this.#take() } });
    this.resources = new Map(
      [
        ["cpus", "any"],
        ["ranks", 1],
        ["memory_mb", 1],
        ["wall_time_in_seconds", "any"],
        ["gpus", 1],
      ].map(([name, step]) => [name, h("input", { type: "number", min: 0, step })]),
    );
    this.common = new CommonFields();
  }

  build(fields) {
    const labels = {
      cpus: "Cores of each rank",
      ranks: "Ranks",
      memory_mb: "Memory (MiB)",
      wall_time_in_seconds: "Longest time (s)",
      gpus: "GPUs",
    };
    return [
      fields.add("config.site", "Site", this.site),
      this.command
        ? fields.add(
            "config.command",
            "Command",
            this.command,
            "{input} stands for the file; left out: the site's own program",
          )
        : "",
      h(
        "div",
        { class: "grid" },
        fields.add("config.input", "Name of the file", this.name),
        fields.add("upload", "Take it from this computer", this.upload),
      ),
      fields.add("config.files", "Its text", this.text),
      h(
        "details",
        {},
        h("summary", {}, "Resources"),
        h(
          "div",
          { class: "grid" },
          ...[...this.resources].map(([name, input]) => fields.add(`config.resources.${name}`, labels[name], input)),
        ),
      ),
      ...this.common.build(fields),
    ];
  }

  async #take() {
    const [file] = this.upload.files;
    if (!file) return;
    this.name.value = file.name;
    this.text.value = await file.text();
  }

  config() {
    const config = { ...this.common.config(), site: this.site.value };
    const resources = [...this.resources]
      .filter(([, input]) => input.value !== "")
      .map(([name, input]) => [name, Number(input.value)]);
    if (this.command?.value.trim()) config.command = this.command.value.trim();
    if (this.text.value || this.name.value.trim())
      config.files = { [this.name.value.trim() || "input.txt"]: this.text.value };
    if (resources.length) config.resources = Object.fromEntries(resources);
    return config;
  }
}
