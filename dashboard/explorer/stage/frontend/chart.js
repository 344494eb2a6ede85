// The chart: what is attacked and what is proved over eps. Colours and strokes are attributes, not styles: the
// drawing can be taken away as a file.

const DRAWING = "http://www.w3.org/2000/svg";
const GREY = "#808080";
const ROUND = { left: 54, right: 14, top: 22, bottom: 22 };
/** Of letters, in pixels: usual, and in large type. */
const SIZES = [12, 17, 22];
const DASHES = { clean: "1.5 4", proved: "9 6", ibp: "", "crown-ibp": "8 4 2 4", threshold: "12 4 2 4", ceiling: "10 10", constant: "" };
/** Marks of methods that are computed here and there: corners around a centre. */
const MARKS = {
  crown: [[0, -5], [5, 4], [-5, 4]],
  "alpha-crown": [[-4, -4], [4, -4], [4, 4], [-4, 4]],
  quadratic: [[0, -5], [4.5, -2.5], [4.5, 2.5], [0, 5], [-4.5, 2.5], [-4.5, -2.5]],
  bab: star(5.5, 2.3),
  sampled: [[0, -7], [7, 0], [0, 7], [-7, 0]],
};

function star(long, short_) {
  return Array.from({ length: 10 }, (_, i) => {
    const [angle, size] = [(Math.PI * i) / 5, i % 2 ? short_ : long];
    return [size * Math.sin(angle), -size * Math.cos(angle)];
  });
}

/** The least of 1, 2, 5 x 10^k that is not below a number. */
function nice(least) {
  const ten = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((step) => step * ten).find((step) => step >= least * (1 - 1e-9));
}

function ticks(low, high, count) {
  const step = nice((high - low) / count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

class Chart {
  lines = [];
  most = 1;
  eps = 0;

  /** Before a room its letters are large. */
  large = false;

  constructor(svg) {
    this.svg = svg;
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(svg);
  }

  close() {
    this.watch.disconnect();
  }

  /** Lines of models as the server sends them, each with its colour; eps from 0 to most. unit: of the axis. */
  show(lines, most, words, unit, room) {
    const guess = room?.guess ?? null;
    const key = [most, unit.axis, String(guess), this.large, ...lines];
    if (this.key?.length === key.length && key.every((part, i) => part === this.key[i])) return;
    Object.assign(this, { lines, most, words, unit, key, guess, guessed: room?.words.guess });
    this.draw();
  }

  /** A copy of the drawing, in nats whatever it is shown in. */
  copy() {
    const { unit } = this;
    this.unit = { nats: 1, axis: unit.plain, plain: unit.plain };
    this.draw();
    const drawing = this.svg.cloneNode(true);
    this.unit = unit;
    this.draw();
    return drawing;
  }

  /** What limits every model; of several models once where it is the same. */
  limits() {
    const all = this.lines.flatMap((line) => line.limits.map((limit) => ({ ...limit, colour: line.colour })));
    const said = (limit) => `${limit.dash} ${limit.values}`;
    const once = [...new Map(all.map((limit) => [said(limit), limit])).values()];
    const several = (limit) => once.some((other) => other !== limit && other.dash === limit.dash);
    return once.map((limit) => (several(limit) ? limit : { ...limit, colour: GREY }));
  }

  /** The cursor, wherever eps is. */
  move(eps) {
    this.eps = eps;
    if (!this.cursor) return;
    const at = this.x(Math.min(eps, this.most));
    this.cursor.setAttribute("transform", `translate(${at},0)`);
    setText(this.label, `eps ${short(eps)}${eps > this.most ? " \u25b8" : ""}`);
    const half = this.label.getComputedTextLength() / 2;
    const [left, right] = [this.left + half - at, this.right - half - at];
    this.label.setAttribute("x", Math.max(left, Math.min(right, 0)));
  }

  x = (eps) => this.left + ((this.right - this.left) * eps) / this.most;
  y = (value) => this.bottom - ((this.bottom - this.top) * (value - this.low)) / (this.high - this.low);

  /** eps at a place of the window. */
  at(clientX) {
    const box = this.svg.getBoundingClientRect();
    const share = (clientX - box.left - this.left) / (this.right - this.left);
    return this.most * Math.max(0, Math.min(1, share));
  }

  /** The y axis follows what is attacked, the thresholds, and the limits of every model, never the proofs. */
  frame() {
    const inside = (eps, values) => values.filter((value, i) => value !== null && eps[i] <= this.most + 1e-12);
    const seen = this.lines.flatMap((line) => [
      line.clean,
      line.threshold,
      ...inside(line.eps, line.attained),
      ...line.limits.flatMap((limit) => inside(limit.eps, limit.values)),
    ]);
    const [low, high] = seen.length ? [Math.min(...seen), Math.max(...seen)] : [-300, 0];
    const pad = 0.07 * Math.max(high - low, 10);
    Object.assign(this, { low: low - pad, high: high + pad });
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.svg;
    if (!width || !height || !this.words) return;
    this.size = SIZES[this.large ? (width > 900 ? 2 : width > 500 ? 1 : 0) : 0];
    const grow = this.size / SIZES[0];
    this.frame();
    Object.assign(this, { left: ROUND.left * grow, right: width - ROUND.right * grow, top: ROUND.top * grow });
    this.bottom = height - ROUND.bottom * grow;
    const [back, front] = [shape("g"), shape("g")];
    back.append(...this.axes());
    const clip = shape("clipPath", { id: "inside" });
    clip.append(shape("rect", { x: this.left, y: this.top, width: this.right - this.left, height: this.bottom - this.top }));
    const inside = shape("g", { "clip-path": "url(#inside)" });
    inside.append(...this.limits().map((limit) => this.limit(limit)));
    for (const line of this.lines) inside.append(...this.thin(line), ...this.model(line));
    for (const line of this.lines) front.append(...this.marks(line));
    front.append(...this.names(), ...this.levels(), ...this.exits(), ...this.bracket(), ...this.pointer());
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("font-size", this.size);
    this.svg.replaceChildren(clip, back, inside, front);
    this.move(this.eps);
    this.drawn?.();
  }

  axes() {
    const count = Math.max(2, Math.floor((this.bottom - this.top) / (4 * this.size)));
    const { nats } = this.unit;
    const rows = ticks(this.low / nats, this.high / nats, count).flatMap((value) => {
      const y = this.y(value * nats);
      const line = shape("line", { x1: this.left, x2: this.right, y1: y, y2: y, stroke: GREY, "stroke-opacity": 0.25 });
      return [line, written(figure(value), this.left - 6, y + this.size / 3, "end")];
    });
    const across = Math.max(2, Math.floor((this.right - this.left) / (5 * this.size)));
    const columns = ticks(0, this.most, Math.min(8, across)).map((value) =>
      written(short(value), this.x(value), this.bottom + 1.4 * this.size, "middle"),
    );
    const middle = (this.top + this.bottom) / 2;
    const title = written(this.unit.axis, 0, 0, "middle");
    title.setAttribute("transform", `translate(${this.size},${middle}) rotate(-90)`);
    return [...rows, ...columns, title];
  }

  /** A path over eps; values far beyond the frame are brought near, so that it leaves the frame steeply. */
  path(eps, values, more) {
    const far = 3 * (this.high - this.low);
    const points = eps.map((radius, i) => {
      const value = Math.max(this.low - far, Math.min(this.high + far, values[i]));
      return `${this.x(radius).toFixed(1)},${this.y(value).toFixed(1)}`;
    });
    return shape(more.fill ? "polygon" : "polyline", { fill: "none", points: points.join(" "), ...more });
  }

  model(line) {
    const ink = { stroke: line.colour, "stroke-width": 2.5 };
    const ends = [line.clean, line.clean];
    return [
      this.path([0, this.most], ends, { ...ink, "stroke-width": 1.5, "stroke-dasharray": DASHES.clean }),
      ...(line.proved ? this.proved(line, ink) : []),
      this.path(line.eps, line.attained, ink),
      ...line.eps.map((radius, i) =>
        shape("circle", { cx: this.x(radius), cy: this.y(line.attained[i]), r: 3, fill: line.colour }),
      ),
    ];
  }

  /** What is proved, where it is not hidden, and what is open. */
  proved(line, ink) {
    const open = [...line.attained, ...[...line.proved].reverse()];
    const there = [...line.eps, ...[...line.eps].reverse()];
    return [
      this.path(there, open, { fill: line.colour, "fill-opacity": 0.15 }),
      this.path(line.eps, line.proved, { ...ink, "stroke-dasharray": DASHES.proved }),
    ];
  }

  /** Where it has no value there is nothing to draw. */
  limit({ eps, values, dash, colour }) {
    const there = eps.filter((_, i) => values[i] !== null);
    const known = values.filter((value) => value !== null);
    return this.path(there, known, { stroke: colour, "stroke-width": 2, "stroke-dasharray": DASHES[dash], class: dash });
  }

  /** What the limits are called, beside them: the ceiling above its line, what it limits below. */
  names() {
    return this.limits().flatMap(({ name, eps, values, dash, colour }) => {
      const i = eps.findLastIndex((radius, j) => radius <= 0.6 * this.most && values[j] !== null);
      if (i < 0) return [];
      const y = this.y(values[i]) + this.size * (dash === "ceiling" ? -0.8 : 1.6);
      const note = written(name, this.x(eps[i]), y, "middle");
      return [colour === GREY ? note : dotted(note, colour)];
    });
  }

  thin(line) {
    const whole = Object.entries(line.methods).filter(([method]) => !(method in MARKS));
    return whole.map(([method, [eps, bounds]]) =>
      this.path(eps, bounds, { stroke: line.colour, "stroke-dasharray": DASHES[method] }),
    );
  }

  marks(line) {
    const found = Object.entries(line.methods).flatMap(([method, [eps, bounds]]) =>
      method in MARKS ? eps.map((radius, i) => this.mark(method, radius, bounds[i], line.colour)) : [],
    );
    if (line.sampled) found.push(this.mark("sampled", line.sampled[0], line.sampled[1], line.colour, line.colour));
    return found.filter(Boolean);
  }

  mark(method, eps, value, stroke, fill = "none") {
    if (eps > this.most || value < this.low || value > this.high) return null;
    const points = MARKS[method].map(([dx, dy]) => `${this.x(eps) + dx},${this.y(value) + dy}`).join(" ");
    return shape("polygon", { points, fill, stroke, "stroke-width": 1.5 });
  }

  /** Thresholds; a grey one where both models have the same. Labels on the far sides. */
  levels() {
    const known = new Map(this.lines.map((line) => [line.threshold, line]));
    const highest = Math.max(...known.keys());
    return [...known].flatMap(([level, { colour: own, level: said }]) => {
      const shown = this.unit.nats === 1 ? figure(level) : said;
      const colour = known.size === 1 && this.lines.length > 1 ? GREY : own;
      const y = this.y(level);
      const line = { x1: this.left, x2: this.right, y1: y, y2: y, stroke: colour, "stroke-dasharray": DASHES.threshold };
      const above = known.size > 1 && level === highest;
      const note = written(`${this.words.alarm} ${shown}`, this.right - 4, y + (above ? -5 : 1.15 * this.size), "end");
      return [shape("line", line), dotted(note, colour)];
    });
  }

  /** Where a bound leaves the frame, so that nobody takes the frame for the bound. */
  exits() {
    const notes = this.lines.flatMap((line) => this.exit(line).map((note) => [note, line]));
    return notes.map(([note, line], row) => {
      const lines = 1.3 * (line.side === "lower" ? notes.length - 1 - row : row);
      const y = line.side === "lower" ? this.bottom - (0.5 + lines) * this.size : this.top + (1.2 + lines) * this.size;
      return dotted(written(note, this.left + 12, y, "start"), line.colour);
    });
  }

  /** What is said of a line that leaves the frame: where nothing is proved any more, else where it leaves. */
  exit(line) {
    if (!line.proved) return [];
    const lower = line.side === "lower";
    const beyond = (value) => (lower ? value < this.low : value > this.high);
    const inside = line.eps.map((radius, i) => [radius, line.proved[i]]).filter(([radius]) => radius <= this.most);
    const none = inside.find(([, value]) => Math.abs(value) === Infinity);
    if (none) return [`${this.words.nothing} ${short(none[0])}`];
    const out = inside.find(([, value]) => beyond(value));
    return out ? [`${lower ? this.words.below : this.words.above} ${short(out[0])}`] : [];
  }

  /** The radii that were guessed. */
  bracket() {
    if (!this.guess) return [];
    const [low, high] = this.guess.map((eps) => this.x(eps));
    const y = this.bottom - 4 * this.size;
    const tick = this.size / 2;
    const points = `${low},${y - tick} ${low},${y} ${Math.max(high, low + 2)},${y} ${Math.max(high, low + 2)},${y - tick}`;
    const line = shape("polyline", { points, fill: "none", stroke: "currentColor", "stroke-width": 2 });
    const middle = Math.max((low + high) / 2, this.left + 2.5 * this.size);
    return [line, written(this.guessed, middle, y - tick, "middle")];
  }

  pointer() {
    this.cursor = shape("g", { class: "cursor" });
    this.label = written("", 0, this.top - this.size / 2, "middle");
    const line = { x1: 0, x2: 0, y1: this.top, y2: this.svg.clientHeight, stroke: GREY, "stroke-width": 1.5 };
    this.cursor.append(shape("line", line), this.label);
    return [this.cursor];
  }
}

function shape(name, attributes = {}) {
  const made = document.createElementNS(DRAWING, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function written(said, x, y, anchor) {
  const made = shape("text", { x, y, "text-anchor": anchor, fill: "currentColor" });
  made.textContent = said;
  return made;
}

/** A note that begins with a square in a model's colour. */
function dotted(note, colour) {
  const square = shape("tspan", { fill: colour });
  square.textContent = "\u25a0 ";
  note.prepend(square);
  return note;
}

/** A number of an axis, with a true minus. */
function figure(value) {
  return value.toLocaleString("en-US", { maximumFractionDigits: 6 }).replace("-", "\u2212");
}

/** A radius as the server writes it. */
function short(eps) {
  return String(Number(eps.toPrecision(6)));
}
