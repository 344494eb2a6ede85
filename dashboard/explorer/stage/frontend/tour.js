// A tour of the screen: one thing after the other, while everything stays alive.

const TOURED = "elbo-under-attack-toured";

/** Whether this browser has been on the tour; a browser that keeps nothing is not asked again and again. */
function seen() {
  try {
    return localStorage.getItem(TOURED) !== null;
  } catch {
    return true;
  }
}

function remember() {
  try {
    localStorage.setItem(TOURED, "yes");
  } catch {
    // Nothing is kept here, and nothing depends on it.
  }
}

class Tour {
  at = -1;

  /** find: looks for a part of the stage. steps: [selector, words]; words: of its buttons. */
  constructor(find, stage) {
    Object.assign(this, { find, stage, box: find(".tour"), said: find(".tour p"), next: find(".tour .next") });
    this.skip = find(".tour .skip");
    this.guide = find(".guide");
    this.guide.classList.toggle("new", !seen());
    this.next.onclick = () => this.go(this.at + 1);
    this.skip.onclick = () => this.end();
    this.box.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.end();
    };
  }

  start(words, opener) {
    Object.assign(this, { words, opener });
    this.guide.classList.remove("new");
    remember();
    setText(this.skip, words.skip);
    this.go(0);
  }

  go(at) {
    this.target?.classList.remove("toured");
    this.at = at;
    const step = this.words.steps[at];
    if (!step) return this.end();
    const [selector, said] = step;
    this.target = this.find(selector);
    this.target.classList.add("toured");
    setText(this.said, `${at + 1}/${this.words.steps.length}  ${said}`);
    setText(this.next, at + 1 < this.words.steps.length ? this.words.next : this.words.done);
    this.box.hidden = false;
    this.place();
    this.next.focus({ preventScroll: true });
  }

  /** Below what it is about, or above where there is no room; never beyond the stage. */
  place() {
    this.target.scrollIntoView({ block: "nearest" });
    const [about, stage] = [this.target.getBoundingClientRect(), this.stage.getBoundingClientRect()];
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const below = about.bottom + 8 + height < innerHeight;
    const top = below ? about.bottom + 8 : Math.max(8, about.top - 8 - height);
    const left = Math.max(stage.left, Math.min(about.left, stage.right - width));
    Object.assign(this.box.style, { top: `${top - stage.top}px`, left: `${left - stage.left}px` });
  }

  end() {
    this.target?.classList.remove("toured");
    this.at = -1;
    this.box.hidden = true;
    this.opener?.focus({ preventScroll: true });
  }
}
