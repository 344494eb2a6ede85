// The cursor of the chart below, which plotly draws: the first shape and the first annotation.

/** Move it to eps; beyond the chart it stays at the edge, and its label says so. */
function moveCursor(eps) {
  const plot = document.querySelector(".st-key-curve .js-plotly-plot");
  const area = plot?.querySelector(".nsewdrag");
  const line = plot?.querySelector('.shapelayer path[data-index="0"]');
  const most = plot?.layout?.xaxis?.range?.[1];
  if (!area || !line || !(most > 0)) return;
  const left = Number(area.getAttribute("x"));
  const width = Number(area.getAttribute("width"));
  const drawn = Number.parseFloat(line.getAttribute("d").slice(1));
  const goal = left + width * Math.min(1, eps / most);
  line.setAttribute("transform", `translate(${goal - drawn},0)`);
  moveLabel(plot.querySelector('.annotation[data-index="0"]'), eps, most, goal, left, left + width);
}

function moveLabel(label, eps, most, goal, left, right) {
  const text = label?.querySelector("text");
  if (!text) return;
  const said = `eps ${short(eps)}${eps > most ? " \u25b8" : ""}`;
  if (text.textContent !== said) text.textContent = said;
  const box = label.getBBox();
  const half = box.width / 2;
  const centre = Math.max(left + half, Math.min(right - half, goal));
  label.setAttribute("transform", `translate(${centre - (box.x + half)},0)`);
}

/** A radius as the server writes it. */
function short(eps) {
  return String(Number(eps.toPrecision(6)));
}
