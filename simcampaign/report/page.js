"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  // Worst first: a square that stands for several runs shows the first of these that is among them.
  const WORST = ["failed", "incomplete", "missing", "waiting", "unlisted", "stale", "in flight", "done"];
  const MAX_CELL = { width: 96, height: 32 }, MAX_HEIGHT = 560, AXIS = 22, GAP = 2;

  for (const button of document.querySelectorAll(".copy")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  const canvas = $("cells"), plot = $("plot"), tip = $("tip"), reading = $("reading"), filter = $("filter");
  if (typeof DecompressionStream === "undefined") {
    reading.textContent = "This browser is too old for the map; the table below has the same by condition.";
    return;
  }
  const packed = Uint8Array.from(atob($("data").textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const cut = bytes.indexOf(10);
  const { stems, keys, variables, seeds, states } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, cut)));
  const codes = bytes.subarray(cut + 1);
  const rank = states.map((state) => WORST.length - WORST.indexOf(state.label));
  const texts = keys.map((key, index) => `${key} ${variables[index]}`.toLowerCase());
  const tableRows = $("table").tBodies[0].rows;
  const failures = new Map();
  for (const element of document.querySelectorAll(".failure")) {
    for (const key of element.dataset.runs.split(" ")) failures.set(key, element);
  }

  let shown = keys.map((_, index) => index);
  let view = null, cursor = null;

  const span = (index, bins, size) => [Math.floor((index * size) / bins), Math.max(Math.floor(((index + 1) * size) / bins), 1)];
  const runKey = (condition, seed) => stems[condition] + String(seeds[seed]).padStart(4, "0");
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  function layout(context) {
    const available = Math.max(plot.clientWidth, 200), step = Math.max(1, Math.floor(shown.length / 300));
    let labels = 0;
    for (let row = 0; row < shown.length; row += step) labels = Math.max(labels, context.measureText(keys[shown[row]]).width);
    const left = Math.ceil(Math.min(Math.max(labels, 30), available * 0.3, 260)) + 10;
    const [columns, width] = fit(seeds.length, available - left, MAX_CELL.width);
    const [rows, height] = fit(shown.length, MAX_HEIGHT, MAX_CELL.height);
    return { left, columns, width, rows, height, cellWidth: width / columns, cellHeight: height / rows };
  }

  // Cells of whole pixels where there is room; else cells share pixels, and each pixel is a bin.
  function fit(number, room, largest) {
    const cell = Math.min(largest, Math.floor(room / number));
    if (cell >= 4) return [number, cell * number];
    return [Math.min(number, Math.floor(room)), Math.min(Math.floor(room), number * 4)];
  }

  function bin({ rows, columns }) {
    const worst = new Uint8Array(rows * columns), best = new Uint8Array(rows * columns);
    const target = new Uint32Array(seeds.length);
    for (let column = 0; column < columns; column++) {
      const [from, to] = span(column, columns, seeds.length);
      target.fill(column, from, to);
    }
    for (let row = 0; row < rows; row++) {
      const [from, to] = span(row, rows, shown.length), base = row * columns;
      for (let index = from; index < to; index++) {
        const start = shown[index] * seeds.length;
        for (let seed = 0; seed < seeds.length; seed++) {
          const code = codes[start + seed], at = base + target[seed];
          if (rank[code] > best[at]) { best[at] = rank[code]; worst[at] = code; }
        }
      }
    }
    return worst;
  }

  function colours() {
    return states.map((state) => {
      const chip = document.querySelector(`.legend [data-state="${state.label}"]`);
      if (!chip) return null;
      const style = getComputedStyle(chip);
      return { fill: style.backgroundColor, ink: style.color, rgb: style.backgroundColor.match(/\d+/g).map(Number) };
    });
  }

  function draw(rebin = true) {
    const context = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1, style = getComputedStyle(document.body);
    const family = style.fontFamily;
    context.font = `12px ${family}`;
    if (rebin || !view) {
      if (!shown.length) { canvas.hidden = true; view = null; return; }
      canvas.hidden = false;
      view = layout(context);
      view.worst = bin(view);
    }
    const { left, columns, rows, width, height, cellWidth, cellHeight, worst } = view;
    canvas.width = Math.round(plot.clientWidth * ratio);
    canvas.height = Math.round((AXIS + height + 4) * ratio);
    canvas.style.height = `${AXIS + height + 4}px`;
    context.scale(ratio, ratio);
    const paint = colours();
    if (cellWidth >= 4 && cellHeight >= 4) drawCells(context, paint, family);
    else drawPixels(context, paint);
    drawLabels(context, getComputedStyle(reading).color, family);
    if (cursor) {
      context.strokeStyle = style.color;
      context.lineWidth = 2;
      const wide = Math.max(cellWidth, 5), tall = Math.max(cellHeight, 5);
      context.strokeRect(left + cursor.column * cellWidth - 1, AXIS + cursor.row * cellHeight - 1, wide + 1, tall + 1);
    }
  }

  function drawCells(context, paint, family) {
    const { left, columns, rows, cellWidth, cellHeight, worst } = view;
    const gap = Math.min(cellWidth, cellHeight) >= 8 ? GAP : 1, glyphs = Math.min(cellWidth, cellHeight) >= 14;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `600 ${Math.min(15, Math.floor(Math.min(cellWidth, cellHeight) * 0.6))}px ${family}`;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const code = worst[row * columns + column], x = left + column * cellWidth, y = AXIS + row * cellHeight;
        context.fillStyle = paint[code].fill;
        context.fillRect(x, y, cellWidth - gap, cellHeight - gap);
        if (!glyphs) continue;
        context.fillStyle = paint[code].ink;
        context.fillText(states[code].glyph, x + (cellWidth - gap) / 2, y + (cellHeight - gap) / 2 + 1);
      }
    }
  }

  function drawPixels(context, paint) {
    const { left, columns, rows, width, height, worst } = view;
    const image = new ImageData(columns, rows), sheet = document.createElement("canvas");
    for (let at = 0; at < worst.length; at++) image.data.set([...paint[worst[at]].rgb.slice(0, 3), 255], at * 4);
    sheet.width = columns;
    sheet.height = rows;
    sheet.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(sheet, left, AXIS, width, height);
  }

  function drawLabels(context, colour, family) {
    const { left, columns, rows, cellWidth, cellHeight } = view;
    context.font = `12px ${family}`;
    context.fillStyle = colour;
    context.textBaseline = "middle";
    context.textAlign = "right";
    context.fillText("seed", left - 8, AXIS / 2);
    const everyRow = nice(16 / cellHeight);
    for (let row = 0; row < rows; row += everyRow) {
      const middle = everyRow === 1 ? AXIS + (row + 0.5) * cellHeight - 1 : AXIS + row * cellHeight + 6;
      context.fillText(clipped(context, keys[shown[span(row, rows, shown.length)[0]]], left - 10), left - 8, middle);
    }
    const widest = context.measureText(String(seeds[seeds.length - 1])).width + 12, everyColumn = nice(widest / cellWidth);
    for (let column = 0; column < columns; column += everyColumn) {
      context.textAlign = everyColumn === 1 ? "center" : "left";
      const x = left + (everyColumn === 1 ? (column + 0.5) * cellWidth - 1 : column * cellWidth);
      if (x + widest / 2 > plot.clientWidth) break;
      context.fillText(String(seeds[span(column, columns, seeds.length)[0]]), x, AXIS / 2);
    }
  }

  function nice(least) {
    if (least <= 1) return 1;
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
  }

  function clipped(context, text, width) {
    if (context.measureText(text).width <= width) return text;
    let keep = text.length;
    while (keep > 1 && context.measureText(`${text.slice(0, keep)}…`).width > width) keep--;
    return `${text.slice(0, keep)}…`;
  }

  function describe({ row, column }) {
    const [fromRow, toRow] = span(row, view.rows, shown.length), [fromSeed, toSeed] = span(column, view.columns, seeds.length);
    const condition = shown[fromRow];
    if (toRow - fromRow === 1 && toSeed - fromSeed === 1) {
      const state = states[codes[condition * seeds.length + fromSeed]].label, key = runKey(condition, fromSeed);
      return { key, title: `${key}: ${state}`, more: variables[condition] };
    }
    const numbers = states.map(() => 0);
    for (let index = fromRow; index < toRow; index++) {
      for (let seed = fromSeed; seed < toSeed; seed++) numbers[codes[shown[index] * seeds.length + seed]]++;
    }
    const parts = states.map((state, code) => [numbers[code], state.label]).filter(([number]) => number);
    const range = (first, last) => (first === last ? first : `${first} to ${last}`);
    const where = `${range(keys[condition], keys[shown[toRow - 1]])}, seeds ${range(seeds[fromSeed], seeds[toSeed - 1])}`;
    return { key: "", title: where, more: parts.map(([number, label]) => `${number} ${label}`).join(", ") };
  }

  function locate(event) {
    if (!view) return null;
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - view.left) / view.cellWidth);
    const row = Math.floor((event.clientY - box.top - AXIS) / view.cellHeight);
    return row >= 0 && row < view.rows && column >= 0 && column < view.columns ? { row, column } : null;
  }

  function showTip(cell) {
    const { key, title, more } = describe(cell);
    tip.replaceChildren(Object.assign(document.createElement("strong"), { textContent: title }));
    for (const line of [more, failures.has(key) ? "Click or press Enter for its log." : ""]) {
      if (line) tip.append(Object.assign(document.createElement("div"), { textContent: line }));
    }
    tip.hidden = false;
    const x = view.left + (cell.column + 1) * view.cellWidth + 6, y = AXIS + (cell.row + 1) * view.cellHeight + 4;
    tip.style.left = `${Math.max(0, Math.min(x, plot.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${y}px`;
  }

  function hint() {
    if (!view) return "No condition matches.";
    const some = shown.length < keys.length ? `${count(shown.length, "condition")} of ${keys.length.toLocaleString("en")} shown. ` : "";
    const runs = Math.ceil(shown.length / view.rows) * Math.ceil(seeds.length / view.columns);
    const bins = runs > 1 ? `A dot stands for up to ${runs} runs and shows the worst state among them. ` : "";
    return `${some}${bins}Point at a run, or use the arrow keys, to read its key and state.`;
  }

  function open(cell) {
    const failure = failures.get(describe(cell).key);
    if (!failure) return;
    for (let element = failure; element; element = element.parentElement.closest("details")) element.open = true;
    failure.querySelector("summary").focus();
    failure.scrollIntoView({ block: "center" });
  }

  function redraw() {
    cursor = null;
    tip.hidden = true;
    draw();
    reading.textContent = hint();
  }

  canvas.addEventListener("pointermove", (event) => {
    const cell = locate(event);
    if (cell) showTip(cell);
    else tip.hidden = true;
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("click", (event) => {
    const cell = locate(event);
    if (cell) open(cell);
  });
  canvas.addEventListener("blur", () => { cursor = null; tip.hidden = true; draw(false); });
  canvas.addEventListener("keydown", (event) => {
    if (!view) return;
    const page = Math.max(1, Math.round(view.rows / 10));
    const steps = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
      PageUp: [-page, 0], PageDown: [page, 0], Home: [0, -Infinity], End: [0, Infinity],
    };
    if (event.key === "Enter" && cursor) return open(cursor);
    if (event.key === "Escape") { cursor = null; tip.hidden = true; return draw(false); }
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [down, across] = cursor ? steps[event.key] : [0, 0], clamp = (value, end) => Math.max(0, Math.min(value, end));
    const from = cursor || { row: 0, column: 0 };
    cursor = { row: clamp(from.row + down, view.rows - 1), column: clamp(from.column + across, view.columns - 1) };
    draw(false);
    showTip(cursor);
    const { title, more } = describe(cursor);
    reading.textContent = more ? `${title}; ${more}` : title;
  });
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => words.every((word) => text.includes(word));
    shown = keys.map((_, index) => index).filter((index) => fits(texts[index]));
    for (let index = 0; index < tableRows.length; index++) tableRows[index].hidden = !fits(texts[index]);
    redraw();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(false));
  // Drawing changes the plot's height: only another width is a reason to draw again.
  let drawnWidth = plot.clientWidth;
  new ResizeObserver(() => {
    if (plot.clientWidth === drawnWidth) return;
    drawnWidth = plot.clientWidth;
    redraw();
  }).observe(plot);
  redraw();
})();
