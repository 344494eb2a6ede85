// The keyboard: which keys mean something, and where they are left alone.

const TYPED = "textarea, select, [contenteditable], [role=textbox], [role=combobox], [role=grid]";
const QUIET = ["button", "checkbox", "radio", "range", "reset", "submit"];
const MOVED = "[role=radiogroup], [role=listbox], [role=menu], [role=tablist], [role=slider], [role=toolbar]";

/** Whether a key pressed here belongs to the element that has the focus. */
function taken(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.isContentEditable || target.closest(TYPED) || target.closest("[role=dialog]")) return true;
  const input = target.closest("input");
  if (input && !QUIET.includes(input.type)) return true;
  return key.startsWith("Arrow") && (input !== null || target.closest(MOVED) !== null);
}

/** What a key asks for: { move: ±1 }, { digit: ±1 }, { model: side }, { help: true }, in a room { go: ±1 } and
    { dark: true }, or null. */
function asked(event, range, room) {
  const { key } = event;
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return null;
  const target = event.composedPath()[0];
  if (target !== range && taken(target, key)) return null;
  if (key === "ArrowLeft" || key === "ArrowRight") return { move: key === "ArrowLeft" ? -1 : 1 };
  if (event.repeat) return null;
  if (room && (key === "PageDown" || key === "PageUp")) return { go: key === "PageDown" ? 1 : -1 };
  if (key === "?") return { help: true };
  const letter = key.toLowerCase();
  if (letter === "n" || letter === "p") return { digit: letter === "n" ? 1 : -1 };
  if (room && letter === "b") return { dark: true };
  if (letter === "m") return { model: event.shiftKey ? "left" : "right" };
  return null;
}
