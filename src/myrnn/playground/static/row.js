// The sequence that is looked at: its digits, the hidden state after each, and what the network says.
import {Digits} from "./digits.js";
import {byId, make, percent, short, unpacked} from "./dom.js";
import {drawHeat, largest} from "./heat.js";
import {onTheme} from "./theme.js";
import {Unit} from "./unit.js";

// Of a column, in pixels; beside the columns stand their labels.
const WIDEST = 64, NARROWEST = 13, LONGEST = 80;

export class Row {
  constructor(app) {
    this.app = app;
    this.seen = null;
    this.scale = 1;
    this.marked = null;
    this.digits = new Digits(tokens => this.choose(tokens));
    this.unit = new Unit(app);
    app.connection.on("row", message => this.take(message));
    app.connection.on("network", () => { this.scale = 0; this.app.connection.send("tokens", {tokens: this.app.tokens}); });
    app.connection.on("status", message => this.follow(message));
    new ResizeObserver(() => this.draw()).observe(byId("row-scroll"));
    onTheme(() => this.draw());
    this.listen();
    this.show(app.tokens);
  }

  listen() {
    const draw = kind => this.app.connection.send("draw", {kind, length: Math.max(2, this.app.tokens.length)});
    byId("draw-match").addEventListener("click", () => draw("match"));
    byId("draw-other").addEventListener("click", () => draw("other"));
    byId("length").addEventListener("change", event => this.resize(Number(event.target.value)));
    byId("state").addEventListener("change", event => this.app.connection.send("state", {name: event.target.value}));
    const heat = byId("heat");
    heat.addEventListener("pointermove", event => this.mark(this.placeOf(event)));
    heat.addEventListener("click", event => this.mark(this.placeOf(event)));
    heat.addEventListener("keydown", event => this.key(event));
    heat.addEventListener("focus", () => this.mark(this.marked || {step: 0, unit: 0}));
  }

  // Look at another sequence.
  choose(tokens) {
    const chosen = tokens.slice(0, LONGEST);
    this.show(chosen);
    this.app.tokens = chosen;
    this.app.connection.send("tokens", {tokens: chosen});
    this.app.linked();
  }

  resize(length) {
    const wanted = Math.min(Math.max(1, Math.round(length) || 1), LONGEST), tokens = this.app.tokens.slice(0, wanted);
    while (tokens.length < wanted) tokens.push(Math.floor(Math.random() * (this.digits.most + 1)));
    this.choose(tokens);
  }

  show(tokens) {
    this.digits.show(tokens, this.cell(tokens.length), this.app.settings.alphabet_size - 1);
    if (document.activeElement !== byId("length")) byId("length").value = tokens.length;
  }

  cell(steps) {
    return Math.max(NARROWEST, Math.min(WIDEST, Math.floor((byId("row-scroll").clientWidth - document.querySelector(".row-labels").offsetWidth - 24) / steps)));
  }

  take(message) {
    if (message.problem) {
      byId("verdict").textContent = message.problem;
      return;
    }
    this.seen = {...message, values: unpacked(message.states)};
    if (message.tokens.join() !== this.app.tokens.join()) {
      this.app.tokens = message.tokens;
      this.app.linked();
    }
    // The colours follow larger numbers at once and smaller ones slowly, so that nothing flickers.
    this.scale = Math.max(largest(this.seen.values), 0.97 * this.scale);
    this.showStates(message);
    this.unit.remember(this.seen);
    this.draw();
  }

  showStates({state, state_names: names}) {
    const select = byId("state");
    if ([...select.options].map(option => option.value).join() !== names.join()) {
      select.replaceChildren(...names.map(name => make("option", {}, name)));
    }
    select.value = state;
    byId("state-choice").hidden = names.length < 2;
  }

  draw() {
    const seen = this.seen;
    if (!seen) return;
    const steps = seen.tokens.length, cell = this.cell(steps);
    this.show(seen.tokens);
    this.digits.showNumbers(seen.probabilities, seen.gradients);
    const height = Math.min(320, Math.max(120, seen.units * 5));
    this.drawing = {cell, height};
    drawHeat(byId("heat"), {states: seen.values, steps, units: seen.units, cell, height, scale: this.scale || 1, marked: this.marked});
    byId("pinned-row").hidden = !seen.pinned;
    if (seen.pinned) {
      const values = unpacked(seen.pinned.states);
      drawHeat(byId("heat-pinned"), {states: values, steps, units: seen.pinned.units, cell, height: Math.min(200, Math.max(90, seen.pinned.units * 3)), scale: largest(values)});
    }
    this.tellVerdict();
    this.unit.draw(seen, this.marked);
  }

  verdict({probabilities, truth, loss}) {
    const share = probabilities[probabilities.length - 1], says = share >= 0.5 ? 1 : 0;
    const names = this.app.settings.task === "palindromes" ? ["no palindrome", "a palindrome"] : ["no match", "a match"];
    return {right: says === truth, text: `“${names[says]}”, ${percent(says ? share : 1 - share)} sure`, truth: names[truth], loss: short(loss)};
  }

  tellVerdict() {
    const one = this.verdict(this.seen), pinned = this.seen.pinned && this.verdict(this.seen.pinned);
    const parts = [
      make("b", {class: one.right ? "right" : "wrong"}, one.right ? "✓ right" : "✗ wrong"), ` it says ${one.text}; it is ${one.truth}. `,
      make("span", {class: "soft"}, `loss ${one.loss}`),
    ];
    if (pinned) parts.push(make("span", {class: "pinned-told"}, ` The pinned one says ${pinned.text}.`));
    const text = parts.map(part => part.textContent ?? part).join("");
    // A screen reader is told when the verdict changes, not twenty times a second.
    if (byId("verdict").dataset.said !== one.text.slice(0, 6) + one.right) byId("verdict").dataset.said = one.text.slice(0, 6) + one.right;
    if (text !== byId("verdict").textContent) byId("verdict").replaceChildren(...parts);
    byId("heat").setAttribute("aria-label", `Hidden state ${this.seen.state} after each of ${this.seen.tokens.length} steps, ${this.seen.units} units; arrow keys choose a unit`);
  }

  placeOf(event) {
    if (!this.seen) return null;
    const box = byId("heat").getBoundingClientRect();
    return this.bounded({
      step: Math.floor((event.clientX - box.left) / this.drawing.cell),
      unit: Math.floor((event.clientY - box.top) / this.drawing.height * this.seen.units),
    });
  }

  bounded({step, unit}) {
    const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);
    return {step: inside(step, this.seen.tokens.length), unit: inside(unit, this.seen.units)};
  }

  mark(place) {
    if (!place || !this.seen) return;
    if (!this.marked || place.unit !== this.marked.unit) this.unit.ask(place.unit);
    this.marked = this.bounded(place);
    this.draw();
  }

  key(event) {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!move || !this.marked) return;
    event.preventDefault();
    this.mark({step: this.marked.step + move[0], unit: this.marked.unit + move[1]});
  }

  follow(status) {
    if (!byId("follow").checked || !status.last || !status.playing) return;
    this.choose(status.last.tokens);
  }
}
