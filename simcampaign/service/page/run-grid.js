import { badness } from "./run-states.js";

/** The states of all runs of a campaign, conditions down and seeds across, and how they fit into fewer dots. */
export class RunGrid {
  constructor(conditions, seeds) {
    this.conditions = new Array(conditions).fill("");
    this.seeds = new Array(seeds).fill("");
    this.codes = new Uint8Array(conditions * seeds).fill(255);
    this.legend = [];
  }

  /** Take a part of the map, that begins at a condition and a seed. */
  take({ conditions, seeds, states, legend }, row, column) {
    this.legend = legend;
    conditions.forEach((key, index) => {
      this.conditions[row + index] = key;
    });
    seeds.forEach((seed, index) => {
      this.seeds[column + index] = seed;
    });
    states.forEach((codes, index) => this.codes.set(codes, (row + index) * this.seeds.length + column));
  }

  get rows() {
    return this.conditions.length;
  }

  get columns() {
    return this.seeds.length;
  }

  state(row, column) {
    return this.legend[this.codes[row * this.columns + column]] ?? "";
  }

  /** The worst state in each of `rows` × `columns` dots, as codes; 255 where nothing is known yet. */
  worst(rows, columns) {
    const rank = Uint8Array.from({ length: 256 }, (_, code) =>
      code < this.legend.length ? badness(this.legend[code]) : 0,
    );
    const worst = new Uint8Array(rows * columns).fill(255),
      best = new Uint8Array(rows * columns);
    const target = Uint32Array.from({ length: this.columns }, (_, seed) =>
      Math.min(columns - 1, Math.floor((seed * columns) / this.columns)),
    );
    for (let row = 0; row < this.rows; row++) {
      const base = Math.min(rows - 1, Math.floor((row * rows) / this.rows)) * columns,
        start = row * this.columns;
      for (let seed = 0; seed < this.columns; seed++) {
        const code = this.codes[start + seed],
          at = base + target[seed];
        if (rank[code] > best[at]) {
          best[at] = rank[code];
          worst[at] = code;
        }
      }
    }
    return worst;
  }

  /** How many runs of a rectangle are in which state: `[[label, count], …]`. */
  counts(fromRow, toRow, fromColumn, toColumn) {
    const numbers = this.legend.map(() => 0);
    for (let row = fromRow; row < toRow; row++) {
      for (let column = fromColumn; column < toColumn; column++) {
        const code = this.codes[row * this.columns + column];
        if (code < numbers.length) numbers[code] += 1;
      }
    }
    return this.legend.map((label, code) => [label, numbers[code]]).filter(([, count]) => count);
  }
}

/** The indices that a dot of several stands for: from, and up to but without to. */
export function span(index, dots, size) {
  return [
    Math.ceil((index * size) / dots),
    Math.max(Math.ceil(((index + 1) * size) / dots), Math.ceil((index * size) / dots) + 1),
  ];
}
