/* Saves the page's chart, with a title, its numbers in words and a legend, as SVG or PNG.
   data: title, question, models, legend, file, labels, none, saved. */
const NS = "http://www.w3.org/2000/svg";
const FAMILY = "Source Sans";
const FONT = `"${FAMILY}", sans-serif`;
const PAD = 16;
const SCALE = 3;

export default function ({ data, parentElement }) {
  const said = parentElement.querySelector("[role=status]");
  for (const button of parentElement.querySelectorAll("button")) {
    const kind = button.dataset.kind;
    button.textContent = data.labels[kind];
    button.onclick = async () => {
      const drawing = draw(data, parentElement);
      if (drawing === null) {
        said.textContent = data.none;
        return;
      }
      drawing.prepend(named("style", await font()));
      const file = `${data.file}.${kind}`;
      save(kind === "svg" ? toSvg(drawing) : await toPng(drawing), file);
      said.textContent = `${data.saved} ${file}`;
    };
  }
}

/* The chart in one drawing, or null if there is none. */
function draw(data, host) {
  const { chart, taken } = shared();
  const { clientWidth: width, clientHeight: height } = chart ?? {};
  if (!width || !height || !chart.firstChild) return null;
  const said = taken.words();
  const style = getComputedStyle(host instanceof ShadowRoot ? host.host : host);
  const ink = style.color;
  const paper = style.getPropertyValue("--st-background-color").trim() || "#ffffff";
  const page = element("svg", { width });
  page.append(named("title", data.title), named("desc", said));
  page.append(element("rect", { width: "100%", height: "100%", fill: paper }));
  let y = PAD;
  const write = (text, size, weight, indent = 0, colour = ink) => {
    for (const line of wrap(text, width - 2 * PAD - indent, size, weight)) {
      y += size * 1.3;
      const at = { x: PAD + indent, y, "font-size": size, "font-weight": weight, fill: colour };
      page.append(named("text", line, { ...at, "font-family": FONT }));
    }
  };
  write(data.title, 18, 600);
  write(data.question, 13, 400);
  write(said.replace(/^[^.]*\.\s*/, ""), 13, 400);
  y += PAD / 2;
  const copy = taken.drawing();
  for (const [key, value] of Object.entries({ y, width, height, color: ink, "font-family": FONT })) {
    copy.setAttribute(key, value);
  }
  page.append(copy);
  y += height;
  for (const model of data.models) {
    page.append(element("rect", { x: PAD, y: y + 5, width: 11, height: 11, fill: model.colour }));
    write(model.name, 13, 600, 18);
  }
  write(data.legend, 13, 400);
  page.setAttribute("height", y + PAD);
  page.setAttribute("viewBox", `0 0 ${width} ${y + PAD}`);
  return page;
}

/* The page's font as part of the file, which is read where that font is not. */
async function font() {
  for (const sheet of document.styleSheets) {
    const rules = [...rulesOf(sheet)].filter((rule) => rule instanceof CSSFontFaceRule);
    for (const { style } of rules) {
      if (!style.getPropertyValue("font-family").includes(FAMILY)) continue;
      if (style.getPropertyValue("font-style") === "italic") continue;
      const [, path] = /url\("?([^")]+)"?\)/.exec(style.getPropertyValue("src"));
      const answer = await fetch(new URL(path, sheet.href ?? document.baseURI));
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const text = btoa(bytes.reduce((all, byte) => all + String.fromCharCode(byte), ""));
      const face = `font-family: "${FAMILY}"; font-weight: 100 900`;
      return `@font-face { ${face}; src: url(data:font/woff2;base64,${text}) format("woff2"); }`;
    }
  }
  return "";
}

/* Sheets of other origins, as those of a browser's extension, cannot be read. */
function rulesOf(sheet) {
  try {
    return sheet.cssRules;
  } catch {
    return [];
  }
}

function element(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function named(name, text, attributes = {}) {
  const made = element(name, attributes);
  made.textContent = text;
  return made;
}

/* Lines that fit: SVG breaks none by itself. */
function wrap(text, width, size, weight) {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `${weight} ${size}px ${FONT}`;
  const lines = [""];
  for (const word of text.split(/ (?! )/)) {
    const longer = lines.at(-1) === "" ? word : `${lines.at(-1)} ${word}`;
    if (ruler.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word.trimStart());
  }
  return lines;
}

function toSvg(drawing) {
  const text = new XMLSerializer().serializeToString(drawing);
  return new Blob([text], { type: "image/svg+xml" });
}

async function toPng(drawing) {
  const url = URL.createObjectURL(toSvg(drawing));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = SCALE * Number(drawing.getAttribute("width"));
    canvas.height = Math.ceil(SCALE * Number(drawing.getAttribute("height")));
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob(done, "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}

function save(blob, file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
