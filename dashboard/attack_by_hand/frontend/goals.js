// The goals: what is to be done, whether it is, and why it cannot be.

const SIGNS = { open: "\u25cb", done: "\u2713", never: "\u25cb", none: "\u2013" };

/** given: numbers of goals that were given up. act: called with { eps } or { gave: number }. */
function drawGoals(list, goals, words, given, act) {
  const rows = goals.map((goal, number) => {
    const row = document.createElement("li");
    row.className = goal.state;
    const said = document.createElement("span");
    said.textContent = `${SIGNS[goal.state]} ${given.has(number) && goal.why ? goal.why : goal.text}`;
    row.append(said);
    const button = (label, name, what) => {
      const made = document.createElement("button");
      Object.assign(made, { type: "button", textContent: label, onclick: () => act(what) });
      made.setAttribute("aria-label", name);
      row.append(made);
    };
    if (goal.eps !== null) button(`eps ${goal.eps}`, `${words.try} at eps ${goal.eps}: goal ${number + 1}`, { eps: goal.eps });
    if (goal.why && !given.has(number)) button(words.give_up, `${words.give_up}: goal ${number + 1}`, { gave: number });
    return row;
  });
  const before = JSON.stringify([goals, [...given]]);
  if (list.dataset.shown === before) return; // a button that has the focus keeps it
  list.dataset.shown = before;
  list.replaceChildren(...rows);
}
