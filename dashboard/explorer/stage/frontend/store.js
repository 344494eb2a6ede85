// What the server has sent of each model, so that it survives whichever part of the page comes first.

const SHARED = Symbol.for("elbo-under-attack");

/** films, numbers: by side, as the feeds bring them. hears: who wants to know. chart: the drawing; taken: what
    of it is taken away. */
function shared() {
  globalThis[SHARED] ??= { film: [], numbers: [], hears: new Set() };
  return globalThis[SHARED];
}
