import { campaignPath } from "./api.js";
import { RunGrid } from "./run-grid.js";

const ROWS = 250,
  COLUMNS = 1000,
  AT_ONCE = 2;

/** Read the whole map of a campaign, part by part; returns its grid, or null if the campaign has no runs. */
export async function readMap(api, id, signal) {
  const part = (row, column) =>
    api.get(
      campaignPath(id, "/map"),
      { condition_offset: row, conditions: ROWS, seed_offset: column, seeds: COLUMNS },
      signal,
    );
  const first = await part(0, 0);
  const { total_conditions: rows, total_seeds: columns } = first;
  if (!rows || !columns) return null;
  const grid = new RunGrid(rows, columns);
  grid.take(first, 0, 0);
  const tiles = [];
  for (let row = 0; row < rows; row += ROWS)
    for (let column = 0; column < columns; column += COLUMNS) if (row || column) tiles.push([row, column]);
  const work = async () => {
    for (let tile = tiles.shift(); tile; tile = tiles.shift()) grid.take(await part(...tile), ...tile);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return grid;
}
