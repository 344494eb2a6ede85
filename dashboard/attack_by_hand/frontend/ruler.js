// One model's ruler: an axis, a mark for each number, and hatching where nobody gets.

const [HEIGHT, AXIS, LINE] = [264, 16, 15];
const SVG = "http://www.w3.org/2000/svg";

function element(tag, values, content = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
  made.textContent = content;
  return made;
}

/** Where labels stand: at their marks, or as near as the others let them; from the top. */
function apart(wanted) {
  const found = wanted.map((y) => Math.min(Math.max(y, LINE / 2), HEIGHT - LINE / 2));
  for (let i = 1; i < found.length; i++) found[i] = Math.max(found[i], found[i - 1] + LINE);
  let floor = HEIGHT - LINE / 2;
  for (let i = found.length - 1; i >= 0; i--) {
    found[i] = Math.min(found[i], floor);
    floor = found[i] - LINE;
  }
  return found;
}

function drawRuler(svg, ruler, number) {
  const place = (value) => (HEIGHT * (ruler.high - value)) / (ruler.high - ruler.low);
  const inside = (y) => Math.min(Math.max(y, 1), HEIGHT - 1);
  const hatch = `attack-hatch-${number}`;
  const defs = element("defs", {});
  const pattern = element("pattern", { id: hatch, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(element("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch" }));
  defs.append(pattern);
  const parts = [defs, element("line", { x1: AXIS, y1: 0, x2: AXIS, y2: HEIGHT, class: "axis" })];
  const proof = ruler.marks.find((mark) => mark.kind === "proof");
  if (proof) {
    const top = inside(place(proof.value));
    parts.push(element("rect", { x: 0, y: top, width: 2 * AXIS, height: Math.max(2, HEIGHT - top), fill: `url(#${hatch})`, class: "below" }));
  }
  const labels = apart(ruler.marks.map((mark) => place(mark.value)));
  ruler.marks.forEach((mark, i) => {
    const y = inside(place(mark.value));
    const beyond = place(mark.value) > HEIGHT ? " \u2193" : "";
    parts.push(element("line", { x1: 4, y1: y, x2: 2 * AXIS - 4, y2: y, class: `mark ${mark.kind}` }));
    parts.push(element("path", { d: `M${2 * AXIS - 4} ${y} L${2 * AXIS + 6} ${labels[i]}`, class: "lead" }));
    if (mark.kind === "you") parts.push(element("circle", { cx: AXIS, cy: y, r: 6, class: "you" }));
    parts.push(element("text", { x: 2 * AXIS + 9, y: labels[i] + 4, class: mark.kind }, mark.label + beyond));
  });
  svg.replaceChildren(...parts);
}
