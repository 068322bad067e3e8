import { h, setText, svg } from "./dom.js";

const WIDTH = 300,
  HEIGHT = 56;

/** A value over time as a line, with what it is now in words. */
export class Sparkline {
  constructor(title, kind) {
    this.value = h("span", { class: "spark-value" }, "–");
    this.about = h("span", { class: "soft spark-about" });
    this.area = svg("path", { class: `area ${kind}` });
    this.line = svg("path", { class: `line ${kind}` });
    this.limit = svg("line", { class: "limit", x1: 0, x2: WIDTH, hidden: true });
    const picture = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" },
      this.area,
      this.line,
      this.limit,
    );
    this.element = h(
      "section",
      { class: "card spark-card" },
      h("h2", {}, title),
      h("p", { class: "spark-now" }, this.value, this.about),
      picture,
    );
  }

  /** Show percents, oldest first, and a limit among them; `value` and `about` are words. */
  show(percents, value, about, limit = null) {
    setText(this.value, value);
    setText(this.about, about);
    const y = (percent) => HEIGHT - 1 - (Math.min(100, Math.max(0, percent)) / 100) * (HEIGHT - 2);
    const step = WIDTH / Math.max(1, percents.length - 1);
    const points = percents.map((percent, index) => `${(index * step).toFixed(1)} ${y(percent).toFixed(1)}`);
    const line = points.length > 1 ? `M${points.join("L")}` : "";
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", line ? `${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` : "");
    const there = limit !== null && limit > 0 && limit < 100;
    this.limit.style.display = there ? "" : "none";
    if (there) for (const name of ["y1", "y2"]) this.limit.setAttribute(name, y(limit).toFixed(1));
  }
}
