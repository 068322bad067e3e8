import { runChip, signOf } from "./run-states.js";
import { span } from "./run-grid.js";

const LARGEST = { width: 88, height: 34 },
  TALLEST = 560,
  TOP = 24;

/** Where cells are on a canvas of a width, for a grid; and how they are drawn there. */
export class HeatPainter {
  constructor(canvas, grid, width) {
    this.canvas = canvas;
    this.grid = grid;
    this.context = canvas.getContext("2d");
    this.style = getComputedStyle(canvas);
    this.font = (weight, size) => `${weight} ${size}px ${this.style.fontFamily}`;
    this.context.font = this.font(400, 12);
    this.width = width;
    this.left = this.#labelWidth();
    [this.columns, this.gridWidth] = fit(grid.columns, width - this.left, LARGEST.width);
    [this.rows, this.gridHeight] = fit(grid.rows, TALLEST, LARGEST.height);
    this.cellWidth = this.gridWidth / this.columns;
    this.cellHeight = this.gridHeight / this.rows;
    this.height = TOP + this.gridHeight + 4;
    this.top = TOP;
    this.worst = grid.worst(this.rows, this.columns);
  }

  #labelWidth() {
    const step = Math.max(1, Math.floor(this.grid.rows / 300));
    let widest = 34;
    for (let row = 0; row < this.grid.rows; row += step)
      widest = Math.max(widest, this.context.measureText(this.grid.conditions[row]).width);
    return Math.ceil(Math.min(widest, this.width * 0.3, 240)) + 10;
  }

  /** The cell at a place of the canvas; null if there is none. */
  cellAt(x, y) {
    const column = Math.floor((x - this.left) / this.cellWidth),
      row = Math.floor((y - TOP) / this.cellHeight);
    return row >= 0 && row < this.rows && column >= 0 && column < this.columns ? { row, column } : null;
  }

  /** The conditions and seeds that a cell stands for. */
  runsOf({ row, column }) {
    return [...span(row, this.rows, this.grid.rows), ...span(column, this.columns, this.grid.columns)];
  }

  draw(cursor) {
    const { canvas, context } = this,
      ratio = devicePixelRatio || 1;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    canvas.style.height = `${this.height}px`;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const paint = this.#paint();
    if (this.cellWidth >= 4 && this.cellHeight >= 4) this.#drawCells(paint);
    else this.#drawDots(paint);
    this.#drawLabels();
    if (!cursor) return;
    context.strokeStyle = this.style.color;
    context.lineWidth = 2;
    context.strokeRect(
      this.left + cursor.column * this.cellWidth - 1,
      TOP + cursor.row * this.cellHeight - 1,
      Math.max(this.cellWidth, 5) + 1,
      Math.max(this.cellHeight, 5) + 1,
    );
  }

  /** Colours as the styles say them now, by code. */
  #paint() {
    return this.grid.legend.map((label) => {
      const chip = runChip(label);
      chip.hidden = false;
      this.canvas.parentElement.append(chip);
      const style = getComputedStyle(chip),
        fill = style.backgroundColor,
        ink = style.color;
      chip.remove();
      return { fill, ink, sign: signOf(label), rgb: rgbOf(fill) };
    });
  }

  #drawCells(paint) {
    const { context, cellWidth, cellHeight } = this;
    const smallest = Math.min(cellWidth, cellHeight),
      gap = smallest >= 8 ? 2 : 1;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = this.font(600, Math.min(15, Math.floor(smallest * 0.6)));
    for (let at = 0; at < this.worst.length; at++) {
      const each = paint[this.worst[at]];
      if (!each) continue;
      const x = this.left + (at % this.columns) * cellWidth,
        y = TOP + Math.floor(at / this.columns) * cellHeight;
      context.fillStyle = each.fill;
      context.fillRect(x, y, cellWidth - gap, cellHeight - gap);
      if (smallest < 14) continue;
      context.fillStyle = each.ink;
      context.fillText(each.sign, x + (cellWidth - gap) / 2, y + (cellHeight - gap) / 2 + 1);
    }
  }

  #drawDots(paint) {
    const image = new ImageData(this.columns, this.rows),
      sheet = new OffscreenCanvas(this.columns, this.rows);
    this.worst.forEach((code, at) => {
      if (paint[code]) image.data.set(paint[code].rgb, at * 4);
    });
    sheet.getContext("2d").putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(sheet, this.left, TOP, this.gridWidth, this.gridHeight);
  }

  #drawLabels() {
    const { context, grid, left, cellWidth, cellHeight } = this;
    context.font = this.font(400, 12);
    context.fillStyle = this.style.color;
    context.globalAlpha = 0.75;
    context.textBaseline = "middle";
    context.textAlign = "right";
    context.fillText("seed", left - 8, TOP / 2);
    const everyRow = nice(16 / cellHeight);
    for (let row = 0; row < this.rows; row += everyRow) {
      const middle = everyRow === 1 ? TOP + (row + 0.5) * cellHeight - 1 : TOP + row * cellHeight + 6;
      context.fillText(
        clipped(context, grid.conditions[span(row, this.rows, grid.rows)[0]], left - 10),
        left - 8,
        middle,
      );
    }
    const widest = context.measureText(String(grid.seeds.at(-1))).width + 12,
      every = nice(widest / cellWidth);
    for (let column = 0; column < this.columns; column += every) {
      context.textAlign = every === 1 ? "center" : "left";
      const x = left + (every === 1 ? (column + 0.5) * cellWidth - 1 : column * cellWidth);
      if (x + widest / 2 > this.width) break;
      context.fillText(String(grid.seeds[span(column, this.columns, grid.columns)[0]]), x, TOP / 2);
    }
    context.globalAlpha = 1;
  }
}

/** Cells of whole pixels where there is room; else several share a dot. */
function fit(count, room, largest) {
  const cell = Math.min(largest, Math.floor(room / count));
  if (cell >= 4) return [count, cell * count];
  const dots = Math.max(1, Math.min(count, Math.floor(room)));
  return [dots, Math.max(1, Math.min(Math.floor(room), count * 4))];
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

/** Red, green, blue and opacity of a colour, whichever way it is written. */
function rgbOf(colour) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}
