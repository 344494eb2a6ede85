// A visitor's own images in the storage of his browser: a reload of the tab and a second tab find them there.
// data: keep (base64 by name), most, forget (how often), want (a name, "*" for all, "" for none).

const SHARED = Symbol.for("elbo-under-attack-images");
const KEY = "elbo-under-attack-images";

export default function ({ data, setTriggerValue }) {
  const done = (globalThis[SHARED] ??= { kept: new Set(), sent: new Set(), forget: 0 });
  if (data.forget > done.forget) write([]);
  done.forget = data.forget;
  // Once each: what another tab had forgotten must not come back because this one is drawn again.
  const fresh = Object.entries(data.keep).filter(([name]) => !done.kept.has(name));
  if (fresh.length) {
    const names = new Set(fresh.map(([name]) => name));
    write([...read().filter(([name]) => !names.has(name)), ...fresh].slice(-data.most));
    for (const name of names) done.kept.add(name);
  }
  if (!data.want || done.sent.has(data.want)) return;
  // Once, whatever the server makes of them.
  done.sent.add(data.want);
  const kept = read();
  if (data.want === "*" ? kept.length : kept.some(([name]) => name === data.want)) {
    setTriggerValue("images", kept.slice(-data.most).map(([, image]) => image));
  }
}

/** [name, base64] of each image, the oldest first; none where the browser has no storage for us. */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return kept.filter((entry) => Array.isArray(entry) && entry.every((part) => typeof part === "string"));
  } catch {
    return [];
  }
}

function write(kept) {
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // No storage, or no room: they last as long as the session does.
  }
}
