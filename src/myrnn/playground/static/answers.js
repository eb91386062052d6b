// What is right at each step of a sequence, and what the network says there: of one class at the end, or one at each step.

// The probability of a class after a step; of a class that is not among the likeliest it is not known, and next to nothing.
export const shareOf = ({likely}, step, which) => (likely[step].find(([one]) => one === which) || [which, 0])[1];

// The likeliest class after a step, and its probability.
export const saysAt = ({likely}, step) => likely[step][0];

// How many answers there are, and how many of them are right.
export function judged(seen) {
  const asked = seen.answers.map((answer, step) => [answer, step]).filter(([answer]) => answer !== null);
  return {asked: asked.length, right: asked.filter(([answer, step]) => saysAt(seen, step)[0] === answer).length};
}

// A symbol or a class as it is shown: a space has a sign of its own.
export const shown = name => name === " " ? "␣" : name;
