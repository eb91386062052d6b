// Sequences that the network gets wrong, found while it trains; a click displays one.
import {byId, count, make, percent, tabs} from "./dom.js";

const FAMILIES = [
  ["trained", "as in training", "New sequences of the kind and the lengths that it learns from."],
  ["longer", "longer", "Longer than any it has seen, up to twice as long."],
  ["near", "one digit changed", "Matches in which at most one digit was changed. Does the network notice?"],
  ["other", "the other task", "Palindromes for a network that learns twin halves, and the other way round. Does it take them for matches?"],
];

// Longer sequences have their halves under each other.
const STACKED = 14;

export class Mistakes {
  constructor(app) {
    this.app = app;
    this.press = tabs(byId("families"), FAMILIES, "trained", family => this.choose(family));
    this.family = "trained";
    app.connection.on("welcome", () => app.connection.send("family", {family: this.family}));
    app.connection.on("network", ({task}) => {
      byId("families").hidden = task.families.length < 2;
      if (!task.families.includes(this.family)) this.choose(task.families[0]);
    });
    app.connection.on("mistakes", message => this.show(message));
  }

  choose(family) {
    if (family === this.family) return;
    this.family = family;
    this.press(family);
    this.app.connection.send("family", {family});
  }

  show({problem, iteration, mistakes = [], count: wrong, samples}) {
    byId("mistakes-told").dataset.iteration = iteration;
    byId("mistakes-told").textContent = problem || (wrong
      ? `${count(wrong)} wrong of ${count(samples)} (${percent(wrong / samples, 1)}). Guessing gets 50% wrong.`
      : `None wrong of ${count(samples)}.${this.app.task.families.length > 1 ? " Try another kind." : ""}`);
    // A list that is read or tabbed through stays as it is.
    if (byId("mistakes").contains(document.activeElement) || byId("mistakes").matches(":hover")) return;
    byId("mistakes").replaceChildren(...mistakes.map(mistake => make("li", {}, this.button(mistake))));
  }

  button({tokens, truth, predicted, probability}) {
    const names = this.app.task.classes, text = this.app.spell(tokens);
    const told = `${text}: the network says ${names[predicted]}, ${percent(probability)} sure; it is ${names[truth]}`;
    const halves = this.app.task.families.length > 1 ? this.halves(tokens) : [text];
    const digits = make("span", {class: halves.length > 1 && tokens.length > STACKED ? "sequence stacked" : "sequence"}, ...halves);
    const says = make("span", {class: "soft"}, `“${names[predicted]}”, ${percent(probability)} sure`);
    return make("button", {class: "mistake", title: told, onclick: () => this.look(tokens)}, digits, says);
  }

  // The two halves, apart from each other, with the digits marked that differ.
  halves(tokens) {
    const half = Math.floor(tokens.length / 2), mirrored = this.app.settings.task === "palindromes";
    const partner = step => mirrored ? tokens.length - 1 - step : step < half ? step + half : step - half;
    const shown = tokens.map((token, step) => tokens[partner(step)] === token ? String(token) : make("em", {}, String(token)));
    return [make("span", {}, ...shown.slice(0, half)), make("span", {}, ...shown.slice(half))];
  }

  look(tokens) {
    this.app.row.choose(tokens);
    byId("card-row").scrollIntoView({block: "start"});
  }
}
