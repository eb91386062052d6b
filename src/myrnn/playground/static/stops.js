// The questions of the tour. After `from` iterations `seen` gets the facts about the network (the iterations; mean
// accuracy on `trained` lengths and `beyond`; the whole `report`; what is `left` of the gradient; the share that is wrong
// of a family of mistakes) and returns what is found as soon as it can be seen; `ask` looks for mistakes of a family.
// Where there is something to compare, the training pauses as soon as the facts that it `needs` are `enough`, and all is
// looked at again; if they no longer are, it goes on.
import {count, percent} from "./dom.js";
import {share} from "./gradient.js";
import {ENOUGH} from "./known.js";

export const STOPS = [
  {
    title: "Does it learn?", card: "card-accuracy", speed: 1000, tokens: "123123", views: ["accuracy"],
    settings: {pattern_length_max: 3},
    text: "The network reads one digit at a time. At the end it must say whether the second half repeats the first. Nobody tells it how: it only gets the right answers. Press play and watch the blue bars: at first they are at the level of guessing.",
    watch: "Watch the bars rise above the line of guessing …",
    from: 1,
    seen: ({iteration, trained, beyond}) => trained >= 0.9 &&
      `It learns. After ${count(iteration)} sequences, ${percent(trained)} of its answers are right on new sequences of the trained lengths. On longer ones (grey) it is ${percent(beyond)}; guessing gives 50%.`,
  },
  {
    title: "Why are long sequences hard?", card: "card-gradient", speed: 0, tokens: "3141592631415926", views: ["accuracy", "gradient"],
    settings: {},
    text: "Now the halves have up to ten digits, and the network trains at full speed. Accuracy falls with the length. Watch the gradient: how much of what the network learns from reaches back to the first digits?",
    watch: "Wait for some ten thousand sequences …",
    from: 60000,
    needs: ["report", "left"], enough: ({left}) => left < 0.5,
    seen: ({report, left}) => report && left !== undefined && Math.min(...report.total) >= ENOUGH &&
      `With two digits ${percent(report.accuracy[0])} are right, with twenty ${percent(report.accuracy[report.lengths.indexOf(20)])}. Only ${share(left)} of the gradient is left 19 steps before the end, so the network learns little from the first digits of a long sequence.`,
  },
  {
    title: "Does it compare, or count?", card: "card-mistakes", speed: 0, tokens: "27182827182828", shortcuts: true, views: ["accuracy", "mistakes"],
    settings: {pattern_length_min: 3, pattern_length_max: 7},
    text: "The lines over the bars are shortcuts that need no comparison. Two of them only count digits and are nearly always right, because in a match every digit occurs an even number of times. Palindromes show which one the network does: they have the same digits in another order.",
    watch: "First the network must become good at the task …",
    from: 30000,
    needs: ["trained"], enough: ({trained}) => trained >= 0.8,
    seen: ({trainedWrong, otherWrong}, ask) => {
      if (trainedWrong === undefined) return null;
      ask("other");
      if (otherWrong === undefined) return null;
      const both = `It gets ${percent(trainedWrong)} of ordinary sequences wrong, and ${percent(otherWrong)} of palindromes and sequences like them. `;
      return both + (otherWrong > 1.3 * trainedWrong
        ? "So in part it counts instead of comparing. Click a mistake, and change a digit until the answer is right."
        : "So this one compares. Does one with another seed, too?");
    },
  },
  {
    title: "Why do LSTMs remember longer?", card: "card-gradient", speed: 10000, tokens: "3141592631415926", views: ["gradient"],
    settings: {cell: "rnn-tanh", learning_rate: 0.003},
    text: "At every step a tanh squeezes the state, and the gradient with it. Press play and watch the curve. Each line on its axis is ten or more times smaller than the one above.",
    watch: "Watch the curve fall …",
    from: 1000,
    needs: ["left"], enough: ({left}) => left < 1e-3,
    seen: ({left}) => left !== undefined &&
      `${left > 0 ? `Only ${share(left)}` : "Nothing"} of the gradient is left 19 steps before the end: it has vanished. The network cannot learn from the first digits. Now pin it, and train an LSTM on the same task.`,
    second: {
      label: "Pin it, train an LSTM", settings: {cell: "lstm", learning_rate: 0.001},
      watch: "Watch both curves. The dashed one is the tanh network …",
      from: 5000,
      seen: ({left, pinnedLeft}) => left > 100 * pinnedLeft &&
        `In the LSTM ${share(left)} of the gradient reaches the first digits, because it can pass through the gates unchanged. In the tanh network it was ${pinnedLeft > 0 ? share(pinnedLeft) : "nothing"}.`,
    },
  },
];
