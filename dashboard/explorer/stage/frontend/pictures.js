// Films: the pictures of all radii, and how they come onto canvases.

/** Bytes from base64. */
function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

const opened = new WeakMap();

/** The arrays of a film, decoded once. */
function open(film) {
  if (!opened.has(film)) {
    const arrays = { image: bytes(film.image), reconImage: bytes(film.recon_image) };
    arrays.change = new Int8Array(bytes(film.change).buffer);
    arrays.reconAttacked = bytes(film.recon_attacked);
    opened.set(film, arrays);
  }
  return opened.get(film);
}

/** Levels -> RGBA. level: value -> 0 to 255; a pixel has one value, or three in colour. */
function drawn(count, colours, level) {
  const rgba = new Uint8ClampedArray(4 * count);
  for (let i = 0; i < count; i++) {
    const at = (colour) => level(colours === 3 ? 3 * i + colour : i);
    rgba.set([at(0), at(1), at(2), 255], 4 * i);
  }
  return rgba;
}

/** A change -> RGBA: red and blue, or in colour around grey. step: value -> -127 to 127. */
function change(count, colours, palette, step) {
  if (colours === 3) return drawn(count, colours, (i) => 128 + step(i));
  const rgba = new Uint8ClampedArray(4 * count);
  for (let i = 0; i < count; i++) {
    const colour = 3 * (step(i) + 127);
    rgba.set([palette[colour], palette[colour + 1], palette[colour + 2], 255], 4 * i);
  }
  return rgba;
}

/** The five pictures at a radius, in the order in which they are shown; palette: change + 127 -> RGB. */
function frames(film, index, palette) {
  const { image, change: moved, reconImage, reconAttacked } = open(film);
  const colours = film.shape[2] ?? 1;
  const count = image.length / colours;
  const from = index * image.length;
  const step = (film.scale[index] * 255) / 127;
  return [
    drawn(count, colours, (i) => image[i]),
    drawn(count, colours, (i) => Math.round(image[i] + moved[from + i] * step)),
    change(count, colours, palette, (i) => moved[from + i]),
    drawn(count, colours, (i) => reconImage[i]),
    drawn(count, colours, (i) => reconAttacked[from + i]),
  ];
}

/** Draw onto canvases, pixel for pixel: the style sheet enlarges them without smoothing. */
function paint(canvases, film, index, palette) {
  frames(film, index, palette).forEach((rgba, i) => {
    const [height, width] = film.shape;
    const canvas = canvases[i];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  });
}
