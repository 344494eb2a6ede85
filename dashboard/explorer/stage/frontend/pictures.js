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

/** Grey levels -> RGBA. level: pixel -> 0 to 255. */
function grey(count, level) {
  const rgba = new Uint8ClampedArray(4 * count);
  for (let i = 0; i < count; i++) {
    const value = level(i);
    rgba.set([value, value, value, 255], 4 * i);
  }
  return rgba;
}

/** The five pictures at a radius, in the order in which they are shown; palette: change + 127 -> RGB. */
function frames(film, index, palette) {
  const { image, change, reconImage, reconAttacked } = open(film);
  const count = image.length;
  const from = index * count;
  const step = (film.scale[index] * 255) / 127;
  const signed = new Uint8ClampedArray(4 * count);
  for (let i = 0; i < count; i++) {
    const colour = 3 * (change[from + i] + 127);
    signed.set([palette[colour], palette[colour + 1], palette[colour + 2], 255], 4 * i);
  }
  return [
    grey(count, (i) => image[i]),
    grey(count, (i) => Math.round(image[i] + change[from + i] * step)),
    signed,
    grey(count, (i) => reconImage[i]),
    grey(count, (i) => reconAttacked[from + i]),
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
