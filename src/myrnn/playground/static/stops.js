// The questions of the tour. After `from` iterations `seen` gets what is known of the network (the iterations; mean
// accuracy on `trained` lengths and `beyond`; the whole `report`; what is `left` of the gradient; the share that is wrong
// of a family of mistakes) and returns what is found as soon as it can be seen; `ask` looks for mistakes of a family.
// Where there is something to compare, the training pauses as soon as `enough` is known, and all is looked at again.
import {count, percent} from "./dom.js";
import {share} from "./gradient.js";

// On so many sequences of each length a network at rest is tried.
const TRIED = 400;

export const STOPS = [
  {
    title: "Does it learn?", card: "card-accuracy", speed: 1000, tokens: "123123", views: ["accuracy"],
    settings: {pattern_length_max: 3},
    text: "The network reads digits one by one and must say whether the second half repeats the first. Nobody tells it how. Press play and watch the blue bars: they begin at guessing.",
    watch: "Watch the bars rise above the line of guessing …",
    from: 1,
    seen: ({iteration, trained, beyond}) => trained >= 0.9 &&
      `It learns: after ${count(iteration)} sequences it is right on ${percent(trained)} of new ones as long as those it learned from. On longer ones (grey): ${percent(beyond)}, and guessing is 50%.`,
  },
  {
    title: "Why are long ones hard?", card: "card-gradient", speed: 0, tokens: "3141592631415926", views: ["accuracy", "gradient"],
    settings: {},
    text: "Now halves of up to ten digits, at full speed. Watch the bars fall with the length, and the gradient: how much of what the network learns from reaches back to the first digits?",
    watch: "Give it some ten thousand sequences …",
    from: 60000,
    enough: ({report, left}) => report && left < 0.5,
    seen: ({report, left}) => report && left !== undefined && Math.min(...report.total) >= TRIED &&
      `Of two digits ${percent(report.accuracy[0])} are right, of twenty ${percent(report.accuracy[report.lengths.indexOf(20)])}. Only ${share(left)} of the gradient is left 19 steps back: what the first digits did is hardly learned from. The longer, the harder.`,
  },
  {
    title: "Does it compare, or cheat?", card: "card-mistakes", speed: 0, tokens: "27182827182828", shortcuts: true, views: ["accuracy", "mistakes"],
    settings: {pattern_length_min: 3, pattern_length_max: 7},
    text: "The lines over the bars are short cuts. Two of them only count digits, and are always right: in a match every digit occurs twice as often as in its half, whatever the order. Does the network compare, or count? Palindromes tell: the same digits in the wrong order.",
    watch: "First it has to become good at it …",
    from: 30000,
    enough: ({trained}) => trained >= 0.8,
    seen: ({trainedWrong, otherWrong}, ask) => {
      if (trainedWrong === undefined) return null;
      ask("other");
      if (otherWrong === undefined) return null;
      const both = `Of ordinary sequences ${percent(trainedWrong)} are wrong, of palindromes and their like ${percent(otherWrong)}: `;
      return both + (otherWrong > 1.3 * trainedWrong
        ? "in part it counts instead of comparing. Click a mistake, and change a digit until it sees it."
        : "this one compares. Does it with another seed?");
    },
  },
  {
    title: "Let the gradient vanish", card: "card-gradient", speed: 10000, tokens: "3141592631415926", views: ["gradient"],
    settings: {cell: "rnn-tanh", learning_rate: 0.003},
    text: "A tanh squeezes the state at every step, and the gradient with it. Press play and watch the curve. Its axis goes down by powers of ten.",
    watch: "Watch the curve fall …",
    from: 1000,
    enough: ({left}) => left < 1e-3,
    seen: ({left}) => left !== undefined &&
      `${left > 0 ? `Only ${share(left)}` : "Nothing"} of it is left 19 steps back: the network cannot find out what the first digits had to do with its mistake. Now pin it, and give an LSTM the same.`,
    second: {
      label: "Pin it, train an LSTM", settings: {cell: "lstm", learning_rate: 0.001},
      watch: "Watch both curves: dashed is the tanh network …",
      from: 5000,
      seen: ({left, pinnedLeft}) => left > 100 * pinnedLeft &&
        `Through the gates of the LSTM ${share(left)} gets back to the first digits; through tanh it was ${pinnedLeft > 0 ? share(pinnedLeft) : "nothing"}.`,
    },
  },
];
