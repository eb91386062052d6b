// What the outputs of the network mean, in words and as bars.
import {byId, make, percent, short} from "./dom.js";
import {visible} from "./given.js";
import {sigmoid, softmax} from "./reading.js";

// The most bars, and the classes that have a colour each.
const MOST_BARS = 12, COLOURED = 5;

const hueOf = (place, count) => `hue${count === 2 ? 1 - place : count <= COLOURED ? place : 0}`;
const isLost = logits => !logits.every(Number.isFinite);

// What the outputs after a step say: `name` and, of classes, how `sure`; `shares` are those of all classes.
export function meaningOf(data, logits) {
  const {classes, answer} = data;
  if (isLost(logits)) return {name: "not a number", shares: null, hue: "hue0"};
  if (answer === "numbers") {
    const {mean, scale} = data.outputs, values = Array.from(logits, (value, i) => value * scale[i] + mean[i]);
    return {name: values.map(value => short(value)).join(", "), values, shares: null, hue: "hue0"};
  }
  if (answer === "labels") {
    const shares = Array.from(logits, sigmoid), chosen = classes.filter((_, i) => shares[i] >= 0.5);
    return {name: chosen.map(visible).join(chosen.every(name => name.length === 1) ? " " : ", ") || "none", shares, hue: "hue0"};
  }
  const shares = softmax(logits), place = shares.indexOf(Math.max(...shares));
  return {name: visible(classes[place]), place, sure: shares[place], shares, hue: hueOf(place, classes.length)};
}

// The bars of all classes: few of them in their order, of many the likeliest.
export function showBars(data, {shares}) {
  const {classes} = data;
  if (!shares) return byId("bars").replaceChildren();
  let places = classes.map((_, i) => i);
  if (classes.length > MOST_BARS) places = places.sort((one, other) => shares[other] - shares[one]).slice(0, MOST_BARS);
  byId("bars").replaceChildren(...places.map(place => {
    const bar = make("i", {class: data.answer === "labels" ? "hue0" : hueOf(place, classes.length)});
    bar.style.width = percent(shares[place], 1);
    return make("li", {}, make("span", {class: "name", title: classes[place]}, visible(classes[place])), make("span", {class: "track"}, bar), make("span", {class: "share"}, percent(shares[place], 1)));
  }));
}

// The sentence above the bars; `example` is the one on display, if there is one.
export function verdict(data, meaning, example) {
  if (!meaning) return ["Nothing is read yet."];
  if (!meaning.shares && data.answer !== "numbers") return ["The outputs are not finite: the network says nothing."];
  const name = make("b", {}, meaning.name);
  if (data.answer === "numbers") {
    const {columns} = data.outputs, values = meaning.values || [];
    if (columns && values.length === columns.length && columns.length > 1) return values.flatMap((value, i) => [i ? ", " : "", `${columns[i]} `, make("b", {}, short(value))]);
    return ["It says ", name];
  }
  const sure = meaning.sure === undefined ? "" : `, ${percent(meaning.sure, 1)} sure`;
  if (data.predictsNextInput) return ["Next it expects ", name, sure];
  if (data.perStep) return ["At the last step it says ", name, sure];
  if (!example || example.answer === null) return ["It says ", name, sure];
  const isRight = data.classes[meaning.place] === example.answer;
  const mark = make("span", {class: isRight ? "right" : "wrong"}, isRight ? " ✓ right" : ` ✗ wrong: it is ${visible(example.answer)}`);
  return ["It says ", name, sure, mark];
}
