// eps in the hand: pictures, numbers and the chart's cursor follow it here; the server hears of it when it is
// let go.

const PAUSE = 300; // ms after the last key until the server hears of it

const stages = new WeakMap();

export default function ({ parentElement, data, setStateValue }) {
  if (!stages.has(parentElement)) stages.set(parentElement, new Stage(parentElement));
  const stage = stages.get(parentElement);
  stage.update(data, (ask) => setStateValue("ask", ask));
  return () => {
    stage.close();
    stages.delete(parentElement);
  };
}

class Stage {
  /** held: eps while it is in the hand, or on its way to the server; else null. pending: asked, unanswered. */
  held = null;
  dragging = false;
  sliding = false; // by the slider, whose thumb the browser moves
  pending = {};
  serial = 0;
  timer = 0;
  due = false;

  constructor(root) {
    const find = (selector) => root.querySelector(selector);
    this.range = find("#eps");
    this.reach = find("select");
    this.verdicts = [...root.querySelectorAll(".verdicts p")];
    this.hover = find(".hover");
    this.chart = new Chart(find("svg"));
    this.chart.drawn = () => this.align();
    shared().chart = this.chart.svg;
    shared().taken = { drawing: () => this.chart.copy(), words: () => this.inWords(true) };
    this.output = find("output");
    this.said = find(".said");
    this.dark = find(".dark");
    this.full = find(".full");
    this.guide = find(".guide");
    this.tour = new Tour(find, find(".stage"));
    this.dialog = find("dialog");
    this.list = find(".list");
    this.find = find;
    const [card, number] = [find("template.card"), find("template.number")];
    const numbers = card.content.querySelector(".numbers");
    while (numbers.children.length < 4) numbers.append(number.content.firstElementChild.cloneNode(true));
    this.cards = [makeCard(card), makeCard(card)];
    find(".cards").replaceChildren(...this.cards.map((one) => one.section));
    this.listen();
  }

  listen() {
    const ends = new AbortController();
    const { signal } = ends;
    this.close = () => {
      ends.abort();
      this.chart.close();
      this.held = null;
      clearTimeout(this.timer);
      shared().hears.delete(this.hear);
    };
    this.hear = () => this.draw();
    shared().hears.add(this.hear);
    const on = (target, type, act) => target.addEventListener(type, act, { signal });
    on(this.range, "pointerdown", () => (this.dragging = this.sliding = true));
    on(this.range, "input", () => this.hold(this.snapped(Number(this.range.value))));
    on(this.range, "change", () => this.release());
    for (const type of ["pointerup", "pointercancel"]) on(window, type, () => this.release());
    on(this.reach, "change", () => this.ask({ upto: this.reach.value }));
    const { svg } = this.chart;
    on(svg, "pointerdown", (event) => this.grab(event));
    on(svg, "pointermove", (event) => this.point(event));
    on(svg, "pointerleave", () => (this.hover.hidden = true));
    on(document, "keydown", (event) => this.press(event));
    on(this.find(".keys"), "click", () => this.dialog.showModal());
    on(this.guide, "click", () => this.tour.start(this.data.words.tour, this.guide));
    on(this.dark, "click", () => (this.dark.hidden = true));
    on(this.full, "click", () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
    on(this.find(".cards"), "keydown", (event) => {
      if (event.key === "Escape" && event.target.closest("dt")) event.target.blur();
    });
  }

  /** What the server says; it may be about something that was asked before the last thing. */
  update(data, send) {
    this.send = send;
    if (data.token !== this.data?.token) Object.assign(this, { serial: 0, pending: {}, held: null });
    this.data = data;
    this.palette ??= bytes(data.palette);
    if (data.serial >= this.serial) {
      this.pending = {};
      if (!this.dragging && !this.timer) this.held = null;
    }
    setText(this.find(".name"), data.words.eps);
    this.range.title = data.words.help;
    setText(this.find(".reach span"), data.words.reach);
    setText(this.find(".legend"), data.words.legend);
    this.seat(data.room);
    const rows = [...data.words.keys, ...(data.room?.words.keys ?? [])].flatMap(([key, what]) => [make("dt", key), make("dd", what)]);
    this.list.replaceChildren(...rows);
    this.cards.forEach((card, i) => {
      this.verdicts[i].hidden = card.section.hidden = !data.sides[i];
      if (data.sides[i]) label(card, data.sides[i], data.words);
    });
    this.draw();
  }

  /** Large before a room, with what is for it alone. */
  seat(room) {
    this.find(".stage").classList.toggle("large", room !== null);
    this.chart.large = room !== null;
    this.full.hidden = room === null;
    this.guide.hidden = room !== null;
    setText(this.guide, this.data.words.tour.name);
    if (room === null) return;
    setText(this.full, room.words.full);
    this.dark.setAttribute("aria-label", room.words.dark);
  }

  get eps() {
    return this.held ?? this.data.eps;
  }

  /** The eps at which chart and slider end: never short of what is in the hand. */
  get most() {
    const { eps, data } = this;
    if (eps <= data.most + 1e-12) return data.most;
    return data.ranges.map(Number).find((range) => range >= eps) ?? eps;
  }

  /** Eps as it is now, everywhere. */
  draw() {
    if (!this.data) return;
    const { eps, most, data } = this;
    Object.assign(this.range, { max: most, step: "any" });
    if (!this.sliding) this.range.value = eps;
    this.range.setAttribute("aria-valuetext", short(eps));
    setText(this.output, short(eps));
    this.offer(most);
    const ready = this.cards.map((card, i) => this.drawSide(card, i, eps, data));
    this.chart.show(this.lines(), most, data.words, data.unit, data.room);
    this.chart.move(eps);
    if (!this.dragging) this.describe();
    if (this.due && this.held === null && !Object.keys(this.pending).length && ready.every(Boolean)) this.announce();
  }

  /** How far the chart can go. */
  offer(most) {
    const now = short(most);
    const ranges = this.data.ranges.includes(now) ? this.data.ranges : [...this.data.ranges, now];
    if (ranges.join() !== this.offered) {
      this.offered = ranges.join();
      this.reach.replaceChildren(...ranges.map((range) => make("option", range)));
    }
    if (this.reach.value !== now) this.reach.value = now;
  }

  /** The lines of the chart, as far as they are there. */
  lines() {
    const { film, numbers } = shared();
    return this.data.sides
      .map((side, i) => (film[i] && numbers[i]?.question === film[i].question ? lineOf(numbers[i], side.colour) : null))
      .filter(Boolean);
  }

  /** The slider's thumb is the foot of the chart's cursor. */
  align() {
    const { left, right } = this.chart;
    const thumb = 16;
    Object.assign(this.range.style, { marginInlineStart: `${left - thumb / 2}px`, width: `${right - left + thumb}px` });
  }

  /** A place of the chart, as a radius that the slider has. */
  radiusAt(event) {
    return this.snapped(this.chart.at(event.clientX));
  }

  snapped(eps) {
    const { step } = this.data;
    return Math.min(this.most, Number((Math.round(eps / step) * step).toFixed(6)));
  }

  grab(event) {
    if (event.button !== 0) return;
    this.chart.svg.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.hover.hidden = true;
    this.hold(this.radiusAt(event));
  }

  point(event) {
    if (this.dragging) return this.hold(this.radiusAt(event));
    if (event.pointerType === "mouse") this.tell(event);
  }

  /** All that is known where the pointer is, without moving eps. */
  tell(event) {
    const eps = this.chart.at(event.clientX);
    const { film, numbers } = shared();
    const said = this.data.sides.flatMap((side, i) => {
      if (!film[i] || film[i].failed || numbers[i]?.question !== film[i].question) return [];
      const index = nearest(film[i].radii, eps);
      const [reading] = numbers[i].readings[index];
      const parts = this.data.words.numbers.map(([name], j) => `${name.toLowerCase()} ${reading[j][0]}`);
      return [`eps ${short(film[i].radii[index])}, ${side.name}`, `  ${parts.join(", ")}`];
    });
    for (const [name, values] of this.limits(eps)) said.push(`${name} ${values}`);
    this.hover.hidden = said.length === 0;
    setText(this.hover, said.join("\n"));
    const box = this.chart.svg.getBoundingClientRect();
    const right = event.clientX - box.left > box.width / 2;
    Object.assign(this.hover.style, right ? { left: "3.5rem", right: "auto" } : { left: "auto", right: "0.5rem" });
  }

  /** Whether what is shown of a model is about what the page is about now. */
  drawSide(card, i, eps, data) {
    if (!data.sides[i]) return true; // one model stands alone
    const store = shared();
    const [film, numbers] = [store.film[i], store.numbers[i]];
    const current = film?.question === data.sides[i].question;
    const about = film && numbers?.question === film.question ? numbers : null;
    card.section.setAttribute("aria-busy", String(!(current && (film.failed || about))));
    card.failed.hidden = !(current && film.failed);
    for (const part of card.parts) part.hidden = !card.failed.hidden;
    if (!film || film.failed) return current;
    tellVerdict(this.verdicts[i], data.sides[i], about);
    show(card, film, about, eps, this.palette, data.words);
    return current && about !== null;
  }

  /** Take eps; from now on nothing but the hand moves it. */
  hold(eps) {
    this.held = eps;
    this.draw();
    if (!this.dragging) this.later();
  }

  /** The hand lets go. */
  release() {
    if (!this.dragging) return;
    this.dragging = this.sliding = false;
    if (this.held !== null) this.settle();
  }

  /** For keys: the server hears of the last one. */
  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.settle();
    }, PAUSE);
  }

  /** Ask for what is held, unless it is there already. */
  settle() {
    const there = this.held === this.data.eps && !Object.keys(this.pending).length;
    if (!there) return this.ask({ eps: this.held });
    this.held = null;
    return this.draw();
  }

  /** Ask the server; again what it has not answered yet. */
  ask(change) {
    Object.assign(this.pending, change);
    this.serial += 1;
    this.due = true;
    this.send({ serial: this.serial, ...this.pending });
  }

  press(event) {
    if (!this.dark.hidden) {
      this.dark.hidden = true;
      return event.preventDefault();
    }
    const wish = this.dialog.open ? null : asked(event, this.range, this.data.room);
    if (wish === null) return;
    event.preventDefault();
    const { data, pending } = this;
    if (wish.dark) {
      this.dark.hidden = false;
    } else if (wish.go) {
      this.go(wish.go);
    } else if (wish.help) {
      this.dialog.showModal();
    } else if (wish.move) {
      this.hold(beside(data.grid, this.eps, wish.move));
    } else if (wish.digit) {
      const index = pending.index ?? data.index;
      this.ask({ index: (index + wish.digit + data.images) % data.images });
    } else {
      const offered = data.models[wish.model].filter((model) => model !== "");
      const now = offered.indexOf(pending[wish.model] ?? data[wish.model]);
      if (offered.length) this.ask({ [wish.model]: offered[(now + 1) % offered.length] });
    }
  }

  /** The next step of what is revealed, then the next scene; or back. */
  go(by) {
    const { room } = this.data;
    const step = (this.pending.step ?? room.step) + by;
    if (step >= 0 && step <= room.steps) return this.ask({ step });
    const scene = (this.pending.scene ?? room.scene) + by;
    if (scene >= 1 && scene <= room.scenes) this.ask({ scene });
  }

  /** What limits every model at eps, in words by its name; of several models once where it is the same. */
  limits(eps, plain = false) {
    const found = new Map();
    this.data.sides.forEach((side, i) => {
      const { film, numbers } = shared();
      if (!film[i] || numbers[i]?.question !== film[i].question) return;
      for (const limit of numbers[i].limits) {
        const said = limit[plain ? "nats" : "said"][nearest(limit.eps, eps)];
        found.set(limit.name, (found.get(limit.name) ?? new Map()).set(said, side.name));
      }
    });
    return [...found].map(([name, values]) => {
      const each = values.size > 1 ? [...values].map(([said, of]) => `${said} for ${of}`) : [...values.keys()];
      return [name, each.join(", ")];
    });
  }

  /** The chart for those who cannot see it. */
  describe() {
    const said = this.inWords(false);
    if (this.chart.svg.getAttribute("aria-label") !== said) this.chart.svg.setAttribute("aria-label", said);
  }

  /** plain: in nats, whatever is shown. */
  inWords(plain) {
    const { sides, words } = this.data;
    const known = this.cards.map((card, i) => {
      const nats = plain ? shared().numbers[i]?.nats?.[card.index] : null;
      const value = (j) => (nats ? nats[j][0] : card.values[j].textContent);
      const said = words.numbers.map(([name], j) => `${name.toLowerCase()} ${value(j)}`);
      return sides[i] && card.film ? `${sides[i].name}: ${said.join(", ")}.` : "";
    });
    const limits = this.limits(this.eps, plain).map(([name, value]) => `${name}: ${value}.`);
    return [`${words.chart}. At eps ${short(this.eps)}:`, ...known, ...limits].filter(Boolean).join(" ");
  }

  announce() {
    this.due = false;
    const { words, sides } = this.data;
    const [, attained, proved] = words.numbers.map(([name]) => name.toLowerCase());
    const parts = this.cards
      .filter((card, i) => sides[i] && card.failed.hidden)
      .map((card) => {
        const [, first, second] = card.values.map((value) => value.textContent);
        const state = card.badge.hidden ? "" : ` ${card.badge.textContent}.`;
        return `${card.name.textContent}: ${attained} ${first}, ${proved} ${second}.${state}`;
      });
    setText(this.said, `eps ${short(this.eps)}. ${parts.join(" ")}`);
  }
}

/** The next radius of a grid above or below eps, which need not be on it; the ends stay. */
function beside(grid, eps, move) {
  const near = 1e-9;
  const next = move > 0 ? grid.find((radius) => radius > eps + near) : grid.findLast((radius) => radius < eps - near);
  return next ?? (move > 0 ? Math.max(eps, grid.at(-1)) : 0);
}

/** What is proved and what is broken of a model's threshold, in a sentence. */
function tellVerdict(place, side, numbers) {
  const key = `${side.name} ${numbers?.verdict}`;
  if (place.dataset.key === key) return;
  Object.assign(place.dataset, { key, hue: side.hue });
  const said = numbers ? numbers.verdict : " ";
  place.replaceChildren(...(said ? [make("b", `${side.name}: `), said] : []));
}

const lined = new WeakMap();

/** A line for the chart from the numbers of a model; where nothing is proved JSON has null. */
function lineOf(numbers, colour) {
  if (!lined.has(numbers)) {
    const { line } = numbers;
    const far = line.side === "lower" ? -Infinity : Infinity;
    const whole = (values) => values?.map((value) => value ?? far);
    const methods = Object.entries(line.methods).map(([name, [eps, bounds]]) => [name, [eps, whole(bounds)]]);
    lined.set(numbers, { ...line, limits: numbers.limits, colour, proved: whole(line.proved), methods: Object.fromEntries(methods) });
  }
  return lined.get(numbers);
}

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
