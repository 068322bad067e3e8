import { h, setText } from "./dom.js";
import { LimitsForm } from "./limits-form.js";
import { Sparkline } from "./sparkline.js";
import { duration, number, plainNumber } from "./text.js";
import { View } from "./view.js";

const LOOK = 3000,
  SAMPLES = 300,
  CLUSTERS_LOOK = 60_000;

/** The host, what jobs may use of it, the sites, and the partitions of the clusters. */
export class HostView extends View {
  constructor(app, route) {
    super(app, route, "Host");
    this.summary = h("p", { class: "soft summary" });
    this.heldBack = h("p", { class: "notice", hidden: true });
    this.cpu = new Sparkline("CPU", "k-cpu");
    this.memory = new Sparkline("Memory", "k-memory");
    this.disk = new Sparkline("Disk", "k-disk");
    this.limits = new LimitsForm(app);
    this.sites = h("tbody", {});
    this.partitions = h("div", { class: "partitions" });
    this.partitionsCard = h("section", { class: "card", hidden: true }, h("h2", {}, "Partitions"), this.partitions);
    const sites = h(
      "section",
      { class: "card" },
      h("h2", {}, "Sites"),
      h(
        "div",
        { class: "scroll" },
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, ...["Site", "Backend", "State"].map((label) => h("th", { scope: "col" }, label)))),
          this.sites,
        ),
      ),
    );
    this.head.append(this.summary);
    this.element.append(
      this.heldBack,
      h("div", { class: "sparks" }, this.cpu.element, this.memory.element, this.disk.element),
      this.limits.element,
      h("div", { class: "two" }, sites, this.partitionsCard),
      h("p", { class: "soft hint" }, "For programs: ", h("a", { href: "/docs" }, "the description of all routes"), "."),
    );
    this.timers = [setInterval(() => this.refresh(), LOOK), setInterval(() => this.#showClusters(), CLUSTERS_LOOK)];
    this.#showClusters();
  }

  heard({ kind }) {
    if (kind === "limits_updated") this.refresh();
  }

  close() {
    super.close();
    this.timers.forEach(clearInterval);
  }

  async load() {
    const [samples, limits, queue, health] = await Promise.all([
      this.get("/telemetry", { samples: SAMPLES }),
      this.get("/pool/limits"),
      this.get("/queue"),
      this.get("/health"),
    ]);
    const now = samples.at(-1);
    setText(
      this.summary,
      `${number(queue.running_jobs)} of ${number(limits.max_concurrent_jobs)} running, ${number(queue.total_queued)} waiting; version ${health.version}, up for ${duration(Math.floor(health.uptime_seconds))}`,
    );
    setText(this.heldBack, queue.held_back ? `Nothing starts on this host just now: ${queue.held_back}.` : "");
    this.heldBack.hidden = !queue.held_back;
    const minutes = Math.max(1, Math.round((now.time - samples[0].time) / 60));
    this.cpu.show(
      samples.map((each) => each.cpu_percent),
      `${Math.round(now.cpu_percent)} %`,
      `last ${minutes} min`,
      limits.max_cpu_percent,
    );
    const most = 100 * (1 - limits.min_memory_gb / now.memory_total_gb);
    this.memory.show(
      samples.map((each) => each.memory_percent),
      `${Math.round(now.memory_percent)} %`,
      `${now.memory_free_gb.toFixed(1)} of ${now.memory_total_gb.toFixed(1)} GB free`,
      limits.min_memory_gb > 0 ? most : null,
    );
    this.disk.show(
      samples.map((each) => each.disk_usage_percent),
      `${Math.round(now.disk_usage_percent)} %`,
      `${now.disk_free_gb.toFixed(1)} GB free`,
    );
    this.limits.show(limits);
  }

  async #showClusters() {
    if (document.hidden) return;
    const [sites, partitions] = await Promise.all(
      [this.get("/sites"), this.get("/api/cluster_partitions")].map((each) => each.catch(() => null)),
    );
    if (this.closed) return;
    if (sites) {
      this.sites.replaceChildren(
        ...sites.map(({ name, backend, broken }) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, name),
            h("td", {}, backend),
            h(
              "td",
              {},
              broken ? h("span", { class: "fault" }, `✕ ${broken}`) : h("span", { class: "good" }, "✓ usable"),
            ),
          ),
        ),
      );
    }
    this.partitionsCard.hidden = !partitions?.length;
    this.partitions.replaceChildren(...(partitions ?? []).map(partition));
  }
}

function partition(each) {
  const rows = [
    ["Nodes", each.nodes_used, each.nodes_total, ""],
    ["Cores", each.cores_used, each.cores_total, ""],
    ["Memory", each.memory_used_gb, each.memory_total_gb, " GB"],
  ];
  return h(
    "div",
    { class: "partition" },
    h("h3", {}, each.name, " ", h("span", { class: "soft" }, `${each.site}${each.state ? `, ${each.state}` : ""}`)),
    ...rows
      .filter(([, , total]) => typeof total === "number")
      .map(([label, used, total, unit]) => bar(label, used, total, unit)),
  );
}

function bar(label, used, total, unit) {
  const known = typeof used === "number";
  const fill = h("span", { class: "fill" });
  fill.style.width = `${known && total > 0 ? Math.min(100, (100 * used) / total) : 0}%`;
  const text = known
    ? `${plainNumber(used)} of ${plainNumber(total)}${unit}`
    : `${plainNumber(total)}${unit}, use unknown`;
  return h(
    "div",
    { class: "usage" },
    h("span", {}, label),
    h("span", { class: "track", "aria-hidden": "true" }, fill),
    h("span", { class: "n" }, text),
  );
}
