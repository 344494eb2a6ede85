// The painted image on its canvas: crisp pixels, what is changed in a frame, the cell of the keyboard.

const [LIGHTER, DARKER] = ["178, 24, 43", "67, 147, 225"];

/** shown: changes that are in the ball. cell: of the keyboard, or null. */
function drawImage(canvas, painting, shown, eps, marks, cell) {
  const side = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
  const high = Math.round((side * painting.height) / painting.width);
  if (canvas.width !== side || canvas.height !== high) Object.assign(canvas, { width: side, height: high });
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pen.drawImage(pixels(painting, shown), 0, 0, side, high);
  const [wide, tall] = [side / painting.width, high / painting.height];
  if (marks && eps > 0) drawMarks(pen, painting, shown, eps, wide, tall);
  if (cell === null) return;
  const [row, column] = [Math.floor(cell / painting.width), cell % painting.width];
  for (const [ink, width] of [["#000", 5], ["#fff", 2]]) {
    pen.strokeStyle = ink;
    pen.lineWidth = width;
    pen.strokeRect(column * wide, row * tall, wide, tall);
  }
}

function pixels(painting, shown) {
  const page = new OffscreenCanvas(painting.width, painting.height);
  const rgba = new Uint8ClampedArray(4 * painting.cells);
  for (let cell = 0; cell < painting.cells; cell++) {
    const values = painting.at(cell).map((i) => Math.round(255 * (painting.image[i] + shown[i])));
    const colours = painting.channels === 3 ? values : [values[0], values[0], values[0]];
    rgba.set([...colours, 255], 4 * cell);
  }
  page.getContext("2d").putImageData(new ImageData(rgba, painting.width, painting.height), 0, 0);
  return page;
}

/** A frame in each changed cell, red for lighter and blue for darker, the fuller the more it is changed. */
function drawMarks(pen, painting, shown, eps, wide, tall) {
  const most = painting.norm === "linf" ? eps : Math.max(...shown.map(Math.abs));
  const width = Math.max(1, wide / 8);
  pen.lineWidth = width;
  for (let cell = 0; cell < painting.cells; cell++) {
    const change = painting.at(cell).reduce((sum, i) => sum + shown[i], 0) / painting.channels;
    if (Math.abs(change) < 1e-4) continue;
    const share = Math.min(1, Math.abs(change) / most);
    pen.strokeStyle = `rgba(${change > 0 ? LIGHTER : DARKER}, ${0.25 + 0.75 * share})`;
    const [row, column] = [Math.floor(cell / painting.width), cell % painting.width];
    pen.strokeRect(column * wide + width, row * tall + width, wide - 2 * width, tall - 2 * width);
  }
}
