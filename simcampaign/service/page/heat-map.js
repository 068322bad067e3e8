import { h, setText } from "./dom.js";
import { HeatPainter } from "./heat-painter.js";
import { badness, ordered, runChip } from "./run-states.js";
import { counted, number } from "./text.js";

/** The map of all runs: pointed at or walked over with the arrow keys; a table says the same by condition. */
export class HeatMap {
  /** `choose(condition, seed)` is called when a single run is chosen. */
  constructor(choose) {
    this.choose = choose;
    this.grid = null;
    this.cursor = null;
    this.painter = null;
    this.legend = h("ul", { class: "legend", "aria-label": "Legend" });
    this.reading = h("p", { class: "reading", role: "status", "aria-live": "polite" });
    this.reading.id = "map-reading";
    this.canvas = h("canvas", {
      class: "cells",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "map of runs",
      "aria-label":
        "Conditions down, seeds across. Arrow keys go from run to run; the table below has the same by condition.",
      "aria-describedby": "map-reading",
    });
    this.tip = h("div", { class: "tip", hidden: true });
    this.plot = h("div", { class: "plot" }, this.canvas, this.tip);
    this.rows = h("tbody", {});
    this.heads = h("tr", {});
    this.table = h(
      "details",
      { on: { toggle: () => this.#fillTable() } },
      h("summary", {}, "The same as a table"),
      h(
        "div",
        { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Runs by condition" },
        h("table", {}, h("thead", {}, this.heads), this.rows),
      ),
    );
    this.element = h(
      "section",
      { class: "card map-card", "aria-labelledby": "map-title" },
      h("h2", { id: "map-title" }, "Runs"),
      this.legend,
      this.plot,
      this.reading,
      this.table,
    );
    this.#listen();
    this.watcher = new ResizeObserver(() => {
      if (this.plot.clientWidth !== this.painter?.width) this.#layOut();
    });
    this.watcher.observe(this.plot);
    this.onTheme = () => this.painter?.draw(this.cursor);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.onTheme);
    window.addEventListener("themechange", this.onTheme);
  }

  close() {
    this.watcher.disconnect();
    this.scheme.removeEventListener("change", this.onTheme);
    window.removeEventListener("themechange", this.onTheme);
  }

  /** Show a grid; it may be another one than before, or the same with other states. */
  show(grid) {
    const same = this.grid !== null && grid.rows === this.grid.rows && grid.columns === this.grid.columns;
    this.grid = grid;
    if (!same) this.cursor = null;
    this.#showLegend(grid.counts(0, grid.rows, 0, grid.columns));
    this.#layOut();
    this.#fillTable();
  }

  #showLegend(found) {
    const counts = Object.fromEntries(found);
    const item = (label) => h("li", {}, runChip(label), label, h("span", { class: "soft" }, number(counts[label])));
    this.legend.replaceChildren(...ordered(Object.keys(counts)).map(item));
  }

  #layOut() {
    if (!this.grid || !this.plot.clientWidth) return;
    this.painter = new HeatPainter(this.canvas, this.grid, this.plot.clientWidth);
    this.painter.draw(this.cursor);
    if (!this.cursor) setText(this.reading, this.#hint());
  }

  #listen() {
    const { canvas } = this;
    const located = (event) => {
      const box = canvas.getBoundingClientRect();
      return this.painter?.cellAt(event.clientX - box.left, event.clientY - box.top) ?? null;
    };
    canvas.addEventListener("pointermove", (event) => this.#showTip(located(event)));
    canvas.addEventListener("pointerleave", () => this.#showTip(this.cursor));
    canvas.addEventListener("click", (event) => this.#open(located(event)));
    canvas.addEventListener("blur", () => this.#moveTo(null));
    canvas.addEventListener("keydown", (event) => this.#pressed(event));
  }

  #pressed(event) {
    if (!this.painter || event.ctrlKey || event.metaKey || event.altKey) return;
    const { rows, columns } = this.painter,
      page = Math.max(1, Math.round(rows / 10));
    const steps = {
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      PageUp: [-page, 0],
      PageDown: [page, 0],
      Home: [0, -columns],
      End: [0, columns],
    };
    if (event.key === "Enter" && this.cursor) {
      event.preventDefault(); // else the failure that gets the focus would take the key, too, and close again
      return this.#open(this.cursor);
    }
    if (event.key === "Escape") return this.#moveTo(null);
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [down, across] = this.cursor ? steps[event.key] : [0, 0],
      from = this.cursor ?? { row: 0, column: 0 };
    const within = (value, size) => Math.max(0, Math.min(value, size - 1));
    this.#moveTo({ row: within(from.row + down, rows), column: within(from.column + across, columns) });
  }

  #moveTo(cursor) {
    this.cursor = cursor;
    this.painter?.draw(cursor);
    this.#showTip(cursor);
    const said = cursor && this.#describe(cursor);
    setText(this.reading, said ? [said.title, said.more].filter(Boolean).join("; ") : this.#hint());
  }

  #describe(cell) {
    const [fromRow, toRow, fromColumn, toColumn] = this.painter.runsOf(cell),
      { grid } = this;
    if (toRow - fromRow === 1 && toColumn - fromColumn === 1) {
      return {
        single: true,
        title: `${grid.conditions[fromRow]}, seed ${grid.seeds[fromColumn]}: ${grid.state(fromRow, fromColumn) || "not known yet"}`,
        more: "",
      };
    }
    const range = (first, last) => (first === last ? first : `${first} to ${last}`);
    const where = `${range(grid.conditions[fromRow], grid.conditions[toRow - 1])}, seeds ${range(grid.seeds[fromColumn], grid.seeds[toColumn - 1])}`;
    const parts = grid
      .counts(fromRow, toRow, fromColumn, toColumn)
      .sort(([one], [other]) => badness(other) - badness(one));
    return { single: false, title: where, more: parts.map(([label, count]) => `${number(count)} ${label}`).join(", ") };
  }

  #showTip(cell) {
    this.tip.hidden = !cell;
    if (!cell) return;
    const { title, more } = this.#describe(cell),
      { painter, tip, plot } = this;
    tip.replaceChildren(h("strong", {}, title), ...(more ? [h("div", {}, more)] : []));
    tip.style.left = `${Math.max(0, Math.min(painter.left + (cell.column + 1) * painter.cellWidth + 6, plot.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${painter.top + (cell.row + 1) * painter.cellHeight + 4}px`;
  }

  #open(cell) {
    if (!cell || !this.#describe(cell).single) return;
    const [row, , column] = this.painter.runsOf(cell);
    this.choose(this.grid.conditions[row], this.grid.seeds[column]);
  }

  #hint() {
    if (!this.painter) return "";
    const runs = Math.ceil(this.grid.rows / this.painter.rows) * Math.ceil(this.grid.columns / this.painter.columns);
    const dots =
      runs > 1 ? `A dot stands for up to ${counted(runs, "run")} and shows the worst state among them. ` : "";
    return `${dots}Point at a run, or use the arrow keys, to read its state.`;
  }

  #fillTable() {
    if (!this.table.open || !this.grid) return;
    const { grid } = this,
      labels = ordered(grid.legend);
    this.heads.replaceChildren(
      h("th", { scope: "col" }, "Condition"),
      ...labels.map((label) => h("th", { scope: "col", class: "n" }, label)),
    );
    this.rows.replaceChildren(
      ...grid.conditions.map((key, row) => {
        const counts = Object.fromEntries(grid.counts(row, row + 1, 0, grid.columns));
        return h(
          "tr",
          {},
          h("th", { scope: "row" }, key),
          ...labels.map((label) => h("td", { class: "n" }, counts[label] ? number(counts[label]) : "")),
        );
      }),
    );
  }
}
