import { ApiError } from "./api.js";
import { h } from "./dom.js";

const EXAMPLE = { site: "local", files: { "input.txt": "" }, resources: { cpus: 1 }, group: "default" };

/** Any config as JSON. */
export class JsonForm {
  constructor(example = EXAMPLE) {
    this.text = h("textarea", { rows: 16, spellcheck: "false", class: "mono" });
    this.text.value = JSON.stringify(example, null, 2);
  }

  build(fields) {
    return [fields.add("config", "Config", this.text, "as programs send it to POST /jobs/submit")];
  }

  config() {
    try {
      return JSON.parse(this.text.value);
    } catch (error) {
      throw new ApiError(400, "", {
        problems: [{ path: "config", reason: `is no JSON: ${error.message}`, remedy: "" }],
      });
    }
  }
}
