// Puts an address in place of the one that the browser has: no step of its history. data: search, count, or null.

const SHARED = Symbol.for("elbo-under-attack-address");

export default function ({ data }) {
  // Once for each time it is asked for: drawn again, it must not undo what came after.
  if (!data || globalThis[SHARED] === data.asked) return;
  globalThis[SHARED] = data.asked;
  if (data.search !== location.search) history.replaceState(history.state, "", `${location.pathname}${data.search}`);
}
