// One model's card: five pictures, four numbers.

/** A template's copy, with what is filled in again and again. */
function makeCard(template) {
  const section = template.content.firstElementChild.cloneNode(true);
  return {
    section,
    name: section.querySelector("h2"),
    badge: section.querySelector(".badge"),
    failed: section.querySelector(".failed"),
    parts: [section.querySelector(".pictures"), section.querySelector(".numbers")],
    canvases: [...section.querySelectorAll("canvas")],
    captions: [...section.querySelectorAll("figcaption")],
    labels: [...section.querySelectorAll("dt .label")],
    terms: [...section.querySelectorAll("dt button")],
    tips: [...section.querySelectorAll(".tip")],
    values: [...section.querySelectorAll("dd.value")],
    notes: [...section.querySelectorAll("dd.note")],
    film: null,
    index: -1,
  };
}

/** Texts that stay while eps moves. */
function label(card, side, words) {
  setText(card.name, side.name);
  card.section.dataset.hue = side.hue;
  card.section.setAttribute("aria-label", side.name);
  words.numbers.forEach(([name, help], i) => {
    setText(card.labels[i], name);
    card.tips[i].id = `tip-${side.hue}-${i}`;
    card.terms[i].setAttribute("aria-describedby", card.tips[i].id);
    card.terms[i].setAttribute("aria-label", `What does ${name} mean?`);
  });
  setText(card.failed, words.failed);
}

/** Show a model at eps. numbers: null while there are none for this film. */
function show(card, film, numbers, eps, palette, words) {
  const index = nearest(film.radii, eps);
  if (card.film !== film || card.index !== index) {
    paint(card.canvases, film, index, palette);
    Object.assign(card, { film, index });
    const captions = [...words.captions];
    captions[2] = film.captions[index];
    card.captions.forEach((caption, i) => setText(caption, captions[i]));
  }
  const [reading, state] = numbers ? numbers.readings[index] : [words.numbers.map(() => ["\u2013", ""]), null];
  card.badge.hidden = state === null;
  if (state !== null) {
    card.badge.dataset.state = state;
    setText(card.badge, words.states[state][0]);
    card.badge.title = words.states[state][1];
  }
  words.numbers.forEach(([name, help], i) => setText(card.tips[i], `${help}\n\n${name}, now: ${reading[i][0]}`));
  reading.forEach(([value, note], i) => {
    setText(card.values[i], value);
    setText(card.notes[i], note);
  });
  describe(card, short(film.radii[index]), reading, words);
}

/** The pictures for those who cannot see them. */
function describe(card, eps, reading, words) {
  words.alts.forEach((alt, i) => {
    const said = alt.replace("{eps}", eps).replace("{clean}", reading[0][0]).replace("{attained}", reading[1][0]);
    if (card.canvases[i].getAttribute("aria-label") !== said) card.canvases[i].setAttribute("aria-label", said);
  });
}

/** Position of the radius next to eps. */
function nearest(radii, eps) {
  let best = 0;
  radii.forEach((radius, i) => {
    if (Math.abs(radius - eps) < Math.abs(radii[best] - eps)) best = i;
  });
  return best;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
