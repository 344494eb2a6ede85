// eps in the hand: pictures, numbers and the cursor of the chart follow it here; the server hears of it
// when it is let go.

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
  pending = {};
  serial = 0;
  timer = 0;
  due = false;

  constructor(root) {
    const find = (selector) => root.querySelector(selector);
    this.range = find("#eps");
    this.output = find("output");
    this.said = find(".said");
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
      this.held = null;
      clearTimeout(this.timer);
      shared().hears.delete(this.hear);
    };
    this.hear = () => this.draw();
    shared().hears.add(this.hear);
    const on = (target, type, act) => target.addEventListener(type, act, { signal });
    on(this.range, "pointerdown", () => (this.dragging = true));
    on(this.range, "input", () => this.hold(Number(this.range.value)));
    on(this.range, "change", () => this.release());
    for (const type of ["pointerup", "pointercancel"]) on(window, type, () => this.release());
    on(document, "keydown", (event) => this.press(event));
    on(this.find(".keys"), "click", () => this.dialog.showModal());
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
    setText(this.find(".most"), short(data.grid.at(-1)));
    Object.assign(this.range, { max: data.grid.at(-1), step: data.step });
    const rows = data.words.keys.flatMap(([key, what]) => [make("dt", key), make("dd", what)]);
    this.list.replaceChildren(...rows);
    this.cards.forEach((card, i) => {
      card.section.hidden = !data.sides[i];
      if (data.sides[i]) label(card, data.sides[i], data.words);
    });
    this.draw();
  }

  get eps() {
    return this.held ?? this.data.eps;
  }

  /** Eps as it is now, everywhere. */
  draw() {
    if (!this.data) return;
    const { eps, data } = this;
    if (!this.dragging) this.range.value = eps;
    this.range.setAttribute("aria-valuetext", short(eps));
    setText(this.output, short(eps));
    const ready = this.cards.map((card, i) => this.drawSide(card, i, eps, data));
    moveCursor(eps);
    if (this.due && this.held === null && !Object.keys(this.pending).length && ready.every(Boolean)) this.announce();
  }

  /** Whether what is shown of a model is about what the page is about now. */
  drawSide(card, i, eps, data) {
    if (!data.sides[i]) return true; // one model stands alone
    const store = shared();
    const [film, numbers] = [store.film[i], store.numbers[i]];
    const current = film?.question === data.sides[i].question;
    card.section.setAttribute("aria-busy", String(!current));
    card.failed.hidden = !(current && film.failed);
    for (const part of card.parts) part.hidden = !card.failed.hidden;
    if (!film || film.failed) return current;
    const about = numbers?.question === film.question ? numbers : null;
    show(card, film, about, eps, this.palette, data.words);
    return current && about !== null;
  }

  /** Take eps; from now on nothing but the hand moves it. */
  hold(eps) {
    if (this.held === null) this.follow();
    this.held = eps;
    this.draw();
    if (!this.dragging) this.later();
  }

  /** The chart may be drawn again by the server meanwhile, with its cursor where it was. */
  follow() {
    requestAnimationFrame(() => {
      if (this.held === null) return;
      moveCursor(this.held);
      this.follow();
    });
  }

  /** The hand lets go. */
  release() {
    if (!this.dragging) return;
    this.dragging = false;
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
    const wish = this.dialog.open ? null : asked(event, this.range);
    if (wish === null) return;
    event.preventDefault();
    const { data, pending } = this;
    if (wish.help) {
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

  announce() {
    this.due = false;
    const { words, sides } = this.data;
    const [, attained, proved] = words.numbers.map(([name]) => name.toLowerCase());
    const parts = this.cards
      .filter((card, i) => sides[i] && card.failed.hidden)
      .map((card) => {
        const [, first, second] = card.values.map((value) => value.textContent);
        return `${card.name.textContent}: ${attained} ${first}, ${proved} ${second}.`;
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

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
