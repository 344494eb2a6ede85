// A painting: a change of each value of an image, and what of it is in the ball. The server computes the
// same again and believes none of it.

const UNITS = 16384; // as in dashboard/addresses/paint.py
const STEP = 10; // a key changes a pixel by this part of eps
const THIN = 4; // a stroke in l_2 by this one
const UNDO = 100;
const FULL = 1e-6;

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function text(array) {
  const raw = new Uint8Array(array.buffer);
  let found = "";
  for (let i = 0; i < raw.length; i += 4096) found += String.fromCharCode(...raw.subarray(i, i + 4096));
  return btoa(found);
}

/** Levels from base64, little end first, whatever the machine. */
function opened(levels) {
  const view = new DataView(bytes(levels).buffer);
  return Float64Array.from({ length: view.byteLength / 2 }, (_, i) => view.getInt16(2 * i, true) / UNITS);
}

class Painting {
  /** image: values, channel by channel. change: of each, as painted; it may be more than fits the ball.
   * origin: what it was started from. */
  constructor(image, shape, norm, levels, origin) {
    const view = new DataView(bytes(image).buffer);
    this.image = Float64Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
    [this.channels, this.height, this.width] = shape;
    this.norm = norm;
    this.change = opened(levels);
    this.origin = origin;
    this.past = []; // changes and what they were started from
  }

  get cells() {
    return this.height * this.width;
  }

  /** Where a cell's values are. */
  at(cell) {
    return Array.from({ length: this.channels }, (_, c) => c * this.cells + cell);
  }

  /** The least and the largest change of a value that keep it a pixel. */
  ends(i) {
    return [-this.image[i], 1 - this.image[i]];
  }

  /** What of the painting is in the ball: cut pixel by pixel, or in l_2 all of it thinner. */
  within(eps) {
    const most = this.norm === "linf" ? eps : 1;
    const found = this.change.map((value, i) => {
      const [low, high] = this.ends(i);
      return Math.min(Math.max(value, low, -most), high, most);
    });
    const size = this.norm === "linf" ? 0 : Math.hypot(...found);
    return size > eps ? found.map((value) => (value * eps) / size) : found;
  }

  /** From now on only what is in the ball is there. */
  settle(eps) {
    this.change = this.within(eps);
  }

  remember() {
    this.past.push([this.change, this.origin]);
    if (this.past.length > UNDO) this.past.shift();
    this.change = this.change.slice();
  }

  undo() {
    if (this.past.length) [this.change, this.origin] = this.past.pop();
  }

  /** Paint cells with a tool. */
  paint(cells, tool, eps) {
    const way = { lighter: 1, darker: -1, erase: 0 }[tool];
    for (const cell of cells) {
      for (const i of this.at(cell)) {
        if (!way) this.change[i] = 0;
        else if (this.norm === "linf") this.change[i] = way * eps;
        else this.change[i] += (way * eps) / THIN;
      }
    }
    this.settle(eps);
  }

  /** A small change of cells, up or down. */
  nudge(cells, way, eps) {
    for (const cell of cells) for (const i of this.at(cell)) this.change[i] += (way * eps) / STEP;
    this.settle(eps);
  }

  /** All cells that are ink, or all that are not. */
  filled(ink) {
    return Array.from({ length: this.cells }, (_, cell) => cell).filter((cell) => {
      const values = this.at(cell).map((i) => this.image[i]);
      return values.reduce((sum, value) => sum + value, 0) / values.length > 0.5 === ink;
    });
  }

  /** A square of cells around one, as far as it is in the image. */
  square(cell, size) {
    const [row, column] = [Math.floor(cell / this.width), cell % this.width];
    const from = Math.floor((size - 1) / 2);
    const found = [];
    for (let y = row - from; y < row - from + size; y++) {
      for (let x = column - from; x < column - from + size; x++) {
        if (y >= 0 && y < this.height && x >= 0 && x < this.width) found.push(y * this.width + x);
      }
    }
    return found;
  }

  /** How much of the budget is used. */
  used(eps) {
    const found = this.within(eps);
    let full = 0;
    for (let cell = 0; cell < this.cells; cell++) {
      full += this.at(cell).some((i) => {
        const [low, high] = this.ends(i);
        return found[i] !== 0 && (found[i] >= Math.min(high, eps) - FULL || found[i] <= Math.max(low, -eps) + FULL);
      });
    }
    const most = found.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    return { full, all: this.cells, most, size: Math.hypot(...found) };
  }

  /** What the server gets: levels as base64, rounded away from 0, so that what is full stays full. */
  levels(eps) {
    const view = new DataView(new ArrayBuffer(2 * this.change.length));
    this.within(eps).forEach((value, i) => {
      const level = Math.sign(value) * Math.ceil(Math.abs(value) * UNITS - 1e-3);
      view.setInt16(2 * i, Math.max(-UNITS, Math.min(UNITS, level)), true);
    });
    return text({ buffer: view.buffer });
  }
}
