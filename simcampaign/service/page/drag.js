/**
 * Rows that are dragged by their handles, with mouse, pen or finger. A list of rows says where a row would go while it
 * is dragged. Escape lets go. `drop(from, to)` is called with places of rows.
 */
export class RowDrag {
  #body;
  #drop;
  #line;
  #dragged = null;

  constructor(body, line, drop) {
    this.#body = body;
    this.#line = line;
    this.#drop = drop;
    body.addEventListener("pointerdown", (event) => this.#start(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#end();
    });
  }

  get active() {
    return this.#dragged !== null;
  }

  #start(event) {
    const handle = event.target.closest(".handle");
    if (!handle || event.button !== 0) return;
    event.preventDefault();
    const row = handle.closest("tr");
    this.#dragged = { row, handle, to: null };
    row.classList.add("dragged");
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (move) => this.#move(move);
    handle.onpointerup = () => this.#release();
    handle.onpointercancel = () => this.#end();
  }

  #move(event) {
    const rows = [...this.#body.rows],
      from = rows.indexOf(this.#dragged.row);
    let gap = rows.findIndex((row) => {
      const { top, height } = row.getBoundingClientRect();
      return event.clientY < top + height / 2;
    });
    if (gap < 0) gap = rows.length;
    this.#dragged.to = gap > from ? gap - 1 : gap;
    const place =
      gap < rows.length ? rows[gap].getBoundingClientRect().top : rows.at(-1).getBoundingClientRect().bottom;
    this.#line.style.top = `${place - this.#line.parentElement.getBoundingClientRect().top}px`;
    this.#line.hidden = this.#dragged.to === from;
    if (event.clientY < 60) scrollBy(0, -12);
    else if (event.clientY > innerHeight - 60) scrollBy(0, 12);
  }

  #release() {
    const { row, to } = this.#dragged;
    const from = [...this.#body.rows].indexOf(row);
    this.#end();
    if (to !== null && to !== from && from >= 0) this.#drop(from, to);
  }

  #end() {
    if (!this.#dragged) return;
    const { row, handle } = this.#dragged;
    row.classList.remove("dragged");
    handle.onpointermove = handle.onpointerup = handle.onpointercancel = null;
    this.#line.hidden = true;
    this.#dragged = null;
  }
}
