// The hand: canvas, tools and keys. What is painted is cut to the ball here and again by the server, which
// alone says what it is worth; it is asked for the last painting as soon as it has answered the one before.

const PAUSE = 80; // ms at least between two questions
const REST = 400; // ms without a stroke after which chart, address and machine follow
const LOST = 1500; // ms after which an answer is not waited for any more
const TOOLS = { b: "lighter", d: "darker", e: "erase" };
const SIZES = [1, 2, 3, 4];
const PATCH = 5;

const hands = new WeakMap();

export default function ({ parentElement, data, setStateValue }) {
  if (!hands.has(parentElement)) hands.set(parentElement, new Hand(parentElement));
  const hand = hands.get(parentElement);
  hand.update(data, (paint) => setStateValue("paint", paint));
  parentElement.querySelector(".attack").dataset.ready = "";
  return () => {
    hand.close();
    hands.delete(parentElement);
  };
}

class Hand {
  tool = "lighter";
  size = 2;
  held = null; // eps while it is in the hand, or on its way
  stroke = null; // { pointer, last }
  cell = 0;
  serial = 0;
  asked = 0; // serial that is not answered yet, 0 for none
  dirty = false; // whether there is more to ask
  timer = 0;
  resting = 0;
  sent = 0;
  given = new Set();

  constructor(root) {
    this.root = root;
    const find = (selector) => root.querySelector(selector);
    this.find = find;
    this.canvas = find(".image");
    this.range = find("#attack-eps");
    this.hear = () => this.answered();
    shared().hears.add(this.hear);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.canvas);
    this.listen();
  }

  close() {
    this.ends.abort();
    this.watch.disconnect();
    for (const timer of [this.timer, this.resting]) clearTimeout(timer);
    shared().hears.delete(this.hear);
  }

  listen() {
    this.ends = new AbortController();
    const on = (target, type, act) => target.addEventListener(type, act, { signal: this.ends.signal });
    on(this.canvas, "pointerdown", (event) => this.press(event));
    on(this.canvas, "pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"]) on(this.canvas, type, (event) => this.lift(event));
    for (const type of ["focus", "blur"]) on(this.canvas, type, () => this.draw());
    on(this.find(".attack"), "keydown", (event) => this.key(event));
    on(this.range, "input", () => this.hold(Number(this.range.value)));
    on(this.range, "change", () => this.rest());
    on(this.find(".undo"), "click", () => this.undo());
    on(this.find(".fill-ink"), "click", () => this.fill(true));
    on(this.find(".fill-paper"), "click", () => this.fill(false));
    on(this.find(".start"), "change", (event) => this.start(event.target));
    on(this.find(".show input"), "change", () => this.draw());
    on(this.find(".keys"), "click", () => this.find("dialog").showModal());
  }

  /** What the page is about. The painting stays, unless the server begins another one. */
  update(data, send) {
    const anew = this.data?.version !== data.version || this.data?.token !== data.token;
    this.send = send;
    this.data = data;
    if (anew) {
      this.painting = new Painting(data.image, data.shape, data.norm, data.levels, data.origin);
      Object.assign(this, { stroke: null, held: null, asked: 0, dirty: false, cell: 0 });
      this.given.clear();
      for (const timer of [this.timer, this.resting]) clearTimeout(timer);
      this.timer = 0;
    }
    if (this.painting.norm !== data.norm) {
      this.painting.norm = data.norm;
      this.held = null;
    }
    this.label();
    this.answered();
    this.draw();
  }

  get eps() {
    return this.held ?? this.data.eps;
  }

  /** Words and choices. */
  label() {
    const { words, sides, starts, grid } = this.data;
    const say = (selector, what) => (this.find(selector).textContent = what);
    say("label[for=attack-eps]", words.eps);
    say(".fill-ink", words.fill.ink);
    say(".fill-paper", words.fill.paper);
    say(".undo", words.undo);
    say(".keys", words.keys);
    say("dialog h2", words.keys);
    say(".show span", words.marks);
    this.canvas.setAttribute("aria-label", words.canvas);
    this.find(".tools").setAttribute("aria-label", words.tools);
    this.find(".goals").setAttribute("aria-label", words.goals);
    const rows = words.list.flatMap(([key, what]) => [make("dt", key), make("dd", what)]);
    this.find(".list").replaceChildren(...rows);
    Object.assign(this.range, { max: grid.at(-1), step: grid[1] });
    const options = [words.start, words.clean, ...starts.map((one) => one.label)];
    const select = this.find(".start");
    if (select.dataset.shown !== options.join()) {
      select.dataset.shown = options.join();
      select.setAttribute("aria-label", words.start);
      select.replaceChildren(...options.map((label, i) => Object.assign(make("option", label), { value: i })));
    }
    this.choices(".brush", Object.entries(words.tool), "tool");
    this.choices(".sizes", SIZES.map((size) => [size, String(size)]), "size", `${words.size} `);
    const rulers = this.find(".rulers");
    while (rulers.children.length < sides.length) {
      rulers.append(this.find("template").content.firstElementChild.cloneNode(true));
    }
    while (rulers.children.length > sides.length) rulers.lastElementChild.remove();
    sides.forEach((side, i) => {
      rulers.children[i].className = side.hue;
      rulers.children[i].querySelector("h2").textContent = side.name;
    });
  }

  /** Buttons of which one is pressed. */
  choices(selector, options, name, before = "") {
    const row = this.find(selector);
    if (!row.children.length) {
      for (const [value, label] of options) {
        const button = Object.assign(make("button", label), { type: "button" });
        if (before) button.setAttribute("aria-label", before + label);
        button.onclick = () => this.choose(name, value);
        row.append(button);
      }
    }
    options.forEach(([value], i) => row.children[i].setAttribute("aria-pressed", String(this[name] === value)));
  }

  choose(name, value) {
    this[name] = value;
    this.label();
  }

  /** The image as it is in the ball, and its budget. */
  draw() {
    if (!this.data) return;
    const { painting, eps, data } = this;
    const focused = this.root.activeElement === this.canvas || this.canvas.matches(":focus-visible");
    const cell = focused && !this.stroke && this.canvas.matches(":focus-visible") ? this.cell : null;
    drawImage(this.canvas, painting, painting.within(eps), eps, this.find(".show input").checked, cell);
    this.range.value = eps;
    this.find("output").textContent = short(eps);
    this.range.setAttribute("aria-valuetext", short(eps));
    const used = painting.used(eps);
    const digits = Math.max(3, String(eps).length - 2);
    const values = { full: used.full, all: used.all, most: used.most.toFixed(digits), eps: eps.toFixed(digits), used: used.size.toFixed(2) };
    if (painting.norm === "l2") values.eps = short(eps);
    this.find(".budget").textContent = fill(data.words.budget[painting.norm], values);
    this.find(".undo").disabled = painting.past.length === 0;
  }

  /** Ask for what is painted now; off: the hand is off the canvas, and may soon rest. */
  ask(off) {
    this.dirty = true;
    this.off = false;
    clearTimeout(this.resting);
    if (off) this.resting = setTimeout(() => this.rest(), REST);
    this.later();
  }

  /** The hand rests: ask for all that takes longer than a number. */
  rest() {
    clearTimeout(this.resting);
    this.dirty = this.off = true;
    this.later();
  }

  later() {
    this.find(".rulers").setAttribute("aria-busy", "true");
    if (this.timer) return;
    const waits = this.asked && performance.now() - this.sent < LOST;
    const pause = waits ? LOST - (performance.now() - this.sent) : Math.max(0, PAUSE - (performance.now() - this.sent));
    this.timer = setTimeout(() => {
      this.timer = 0;
      if (this.dirty) this.question();
    }, pause);
  }

  question() {
    this.dirty = false;
    this.serial = Math.max(this.serial + 1, Date.now());
    this.asked = this.serial;
    this.sent = performance.now();
    const { serial, painting } = this;
    if (painting.change.every((value) => value === 0)) [painting.origin] = this.data.origins;
    const { origin } = painting;
    const levels = painting.levels(this.eps);
    const eps = this.held !== null && this.off ? this.held : null;
    this.send({ serial, version: this.data.version, levels, origin, done: this.off && !this.stroke, eps });
  }

  /** What the models say; it may be about an earlier painting. */
  answered() {
    const { answer } = shared();
    if (!answer || !this.data || answer.version !== this.data.version) return;
    const rulers = this.find(".rulers").children;
    for (const [i, ruler] of Object.entries(answer.rulers)) if (rulers[i]) this.read(rulers[i], ruler, i);
    drawGoals(this.find(".goals"), answer.goals, this.data.words, this.given, (what) => this.act(what));
    this.find(".status").textContent = answer.status;
    const busy = this.asked > answer.serial;
    this.find(".rulers").setAttribute("aria-busy", String(busy || this.dirty));
    if (busy) return;
    this.asked = 0;
    if (this.held !== null && answer.eps === this.held && !this.dirty) this.held = null;
    if (this.dirty) {
      clearTimeout(this.timer);
      this.timer = 0;
      this.later();
      return;
    }
    if (this.stroke || answer.link === null) return;
    const said = this.find(".said");
    if (said.textContent !== answer.spoken) said.textContent = answer.spoken;
    this.put(answer.link);
  }

  /** One model's numbers. */
  read(section, ruler, number) {
    const find = (selector) => section.querySelector(selector);
    find("strong").textContent = ruler.you;
    find("span").textContent = ruler.badge;
    find("span").className = ruler.alarm ? "alarm" : "";
    find(".standing").textContent = ruler.said;
    section.classList.toggle("beyond", ruler.beyond);
    const svg = find("svg");
    svg.setAttribute("aria-label", ruler.marks.map((mark) => mark.label).join(", "));
    drawRuler(svg, ruler, number);
  }

  /** The address holds the painting; strokes are no steps of the browser's history. */
  put(link) {
    const query = new URLSearchParams(link).toString();
    const search = query && `?${query}`;
    if (search !== location.search) history.replaceState(history.state, "", `${location.pathname}${search}`);
  }

  /** Something is about to be painted, which undo takes back. */
  begin() {
    this.painting.remember();
    this.painting.settle(this.eps);
  }

  cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.painting;
    const place = (at, from, length, count) => Math.floor(((at - from) / length) * count);
    const x = place(event.clientX, box.left, box.width, width);
    const y = place(event.clientY, box.top, box.height, height);
    return [x, y];
  }

  press(event) {
    if (this.stroke || event.button !== 0) return;
    clearTimeout(this.resting);
    this.canvas.setPointerCapture(event.pointerId);
    this.begin();
    this.stroke = { pointer: event.pointerId, last: this.cellAt(event), done: new Set() };
    this.line(this.stroke.last);
  }

  move(event) {
    if (this.stroke?.pointer !== event.pointerId) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) this.line(this.cellAt(each));
    this.line(this.cellAt(event));
  }

  lift(event) {
    if (this.stroke?.pointer !== event.pointerId) return;
    this.stroke = null;
    this.draw();
    this.ask(true);
  }

  /** Paint from the last place of the stroke to this one; each cell once. */
  line([x, y]) {
    const { stroke, painting } = this;
    const [fromX, fromY] = stroke.last;
    const steps = Math.max(Math.abs(x - fromX), Math.abs(y - fromY), 1);
    const cells = new Set();
    for (let i = 0; i <= steps; i++) {
      const column = Math.round(fromX + ((x - fromX) * i) / steps);
      const row = Math.round(fromY + ((y - fromY) * i) / steps);
      if (column < 0 || column >= painting.width || row < 0 || row >= painting.height) continue;
      for (const cell of painting.square(row * painting.width + column, this.size)) cells.add(cell);
    }
    stroke.last = [x, y];
    const fresh = [...cells].filter((cell) => !stroke.done.has(cell));
    if (!fresh.length) return;
    for (const cell of fresh) stroke.done.add(cell);
    painting.paint(fresh, this.tool, this.eps);
    this.draw();
    this.ask(false);
  }

  /** All that is ink, or all that is not. */
  fill(ink) {
    this.begin();
    this.painting.paint(this.painting.filled(ink), this.tool, this.eps);
    this.changed();
  }

  changed() {
    this.draw();
    this.ask(true);
  }

  undo() {
    this.painting.undo();
    this.changed();
  }

  start(select) {
    const number = Number(select.value);
    select.value = 0;
    if (!number) return;
    this.begin();
    const chosen = this.data.starts[number - 2];
    this.painting.origin = chosen ? chosen.origin : this.data.origins[0];
    this.painting.change = chosen ? opened(chosen.levels) : this.painting.change.fill(0);
    this.changed();
  }

  hold(eps) {
    this.held = eps;
    this.draw();
  }

  act({ eps, gave }) {
    if (gave !== undefined) {
      this.given.add(gave);
      this.answered();
    } else if (eps !== this.eps) {
      this.hold(eps);
      this.rest();
    }
  }

  key(event) {
    const shortcut = (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
    if (shortcut || event.isComposing || this.find("dialog").open) return;
    const { key, target } = event;
    const letter = key.toLowerCase();
    const typed = target.closest("select, input[type=range]");
    if (TOOLS[letter] && !typed) this.choose("tool", TOOLS[letter]);
    else if ((key === "[" || key === "]") && !typed) this.choose("size", Math.min(4, Math.max(1, this.size + (key === "]" ? 1 : -1))));
    else if (letter === "z" && !typed) this.undo();
    else if (target === this.canvas && this.onCanvas(event)) this.draw();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Keys of the cell; whether this is one. */
  onCanvas({ key, shiftKey, code }) {
    const { painting } = this;
    const [row, column] = [Math.floor(this.cell / painting.width), this.cell % painting.width];
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (moves[key]) {
      const [down, right] = moves[key];
      const to = (at, by, count) => Math.min(Math.max(at + by, 0), count - 1);
      this.cell = to(row, down, painting.height) * painting.width + to(column, right, painting.width);
      return true;
    }
    const up = key === "+" || key === "*" || code === "NumpadAdd" || code === "Equal";
    const down = key === "-" || key === "_" || key === "\u2212" || code === "NumpadSubtract" || code === "Minus";
    if (!up && !down && key !== " " && key !== "Enter") return false;
    this.begin();
    if (up || down) painting.nudge(painting.square(this.cell, shiftKey ? PATCH : 1), up ? 1 : -1, this.eps);
    else painting.paint(painting.square(this.cell, this.size), this.tool, this.eps);
    this.ask(true);
    return true;
  }
}

function make(tag, content) {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}

function short(value) {
  return String(Number(value.toPrecision(6)));
}

/** Words with {names} filled in. */
function fill(words, values) {
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
