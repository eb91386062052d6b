// The right and the predicted answers at the steps of a sequence: one class at the end, or one at each step.

// The probability of a class after a step; about 0 for a class that is not among the likeliest.
export const shareOf = ({likely}, step, which) => (likely[step].find(([one]) => one === which) || [which, 0])[1];

// The likeliest class after a step, and its probability.
export const saysAt = ({likely}, step) => likely[step][0];

// The number of answers, and of right ones.
export function judged(seen) {
  const asked = seen.answers.map((answer, step) => [answer, step]).filter(([answer]) => answer !== null);
  return {asked: asked.length, right: asked.filter(([answer, step]) => saysAt(seen, step)[0] === answer).length};
}

// The displayed text of a symbol or a class: a space has a visible sign.
export const shown = name => name === " " ? "␣" : name;
