// The symbols of the sequence, each to be clicked, typed and stepped; under each the probability that the network gives.
import {areWords, byId, make, percent} from "./dom.js";

// Narrower columns, in parts of the root's size, have small digits.
const DENSE = 1.3;

export class Digits {
  // `changed` is called with the new tokens.
  constructor(app, changed) {
    this.app = app;
    this.place = byId("digits");
    this.changed = changed;
    this.tokens = [];
    this.current = 0;
    this.columns = [];
  }

  show(tokens, cell, em) {
    const {symbols, families} = this.app.task;
    if (tokens.length !== this.columns.length) this.build(tokens.length);
    this.tokens = [...tokens];
    this.place.style.setProperty("--cell", `${cell}px`);
    this.place.classList.toggle("dense", cell < DENSE * em);
    this.place.classList.toggle("words", areWords(symbols));
    this.columns.forEach(({digit}, step) => {
      digit.textContent = digit.title = symbols[tokens[step]] ?? tokens[step];
      digit.setAttribute("aria-valuenow", tokens[step]);
      digit.setAttribute("aria-valuemax", symbols.length - 1);
      digit.classList.toggle("half", families.length > 1 && step === Math.floor(tokens.length / 2) && tokens.length % 2 === 0);
    });
  }

  build(steps) {
    const focused = this.place.contains(document.activeElement);
    this.columns = Array.from({length: steps}, (_, step) => this.column(step));
    this.place.replaceChildren(...this.columns.map(({column}) => column));
    this.current = Math.min(this.current, steps - 1);
    this.columns[this.current].digit.tabIndex = 0;
    if (focused) this.focus(this.current);
  }

  column(step) {
    let wasFocused = false;
    const digit = make("div", {
      class: "digit", role: "spinbutton", tabindex: -1, "aria-label": `symbol ${step + 1}`, "aria-valuemin": 0,
      onkeydown: event => this.key(event, step),
      onfocus: () => this.moveTo(step),
      onpointerdown: event => { wasFocused = document.activeElement === event.currentTarget; },
      // A second click counts up, for whoever has no keys at hand.
      onclick: () => wasFocused ? this.set(step, this.tokens[step] + 1) : this.focus(step),
    });
    const fill = make("i"), bar = make("div", {class: "probability"}, fill), loss = make("i"), back = make("div", {class: "pull"}, loss);
    return {digit, bar, fill, back, loss, column: make("div", {class: "step"}, digit, bar, back)};
  }

  // Probabilities of the second class if it ended there, and how much the loss still depends on each step's state.
  showNumbers(probabilities, gradients) {
    const most = Math.max(...gradients, 1e-30), {symbols, classes} = this.app.task;
    this.columns.forEach(({digit, bar, fill, back, loss}, step) => {
      const share = probabilities[step];
      fill.style.height = percent(Math.abs(share - 0.5), 2);
      fill.style.bottom = share < 0.5 ? percent(share, 2) : "50%";
      fill.className = share < 0.5 ? "no" : "yes";
      bar.title = `if it ended here: ${percent(share, 1)} ${classes[1]}`;
      loss.style.height = percent(gradients[step] / most, 1);
      back.title = `the loss changes by ${gradients[step].toExponential(2)} with the state after this step`;
      digit.setAttribute("aria-valuetext", `${symbols[this.tokens[step]]}, ${percent(share)} ${classes[1]} if it ended here`);
    });
  }

  // One symbol is reached with the tab key, the others from there with the arrows.
  moveTo(step) {
    if (this.columns[this.current]) this.columns[this.current].digit.tabIndex = -1;
    this.current = step;
    this.columns[step].digit.tabIndex = 0;
  }

  focus(step) {
    this.columns[step]?.digit.focus();
  }

  set(step, value) {
    const tokens = [...this.tokens], count = this.app.task.symbols.length;
    tokens[step] = ((value % count) + count) % count;
    this.changed(tokens);
  }

  key(event, step) {
    const last = this.tokens.length - 1, typed = this.app.task.symbols.findIndex(symbol => symbol.startsWith(event.key));
    const moves = {ArrowLeft: Math.max(0, step - 1), ArrowRight: Math.min(last, step + 1), Home: 0, End: last};
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typed >= 0) {
      this.set(step, typed);
      this.focus(Math.min(step + 1, last));
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      this.set(step, this.tokens[step] + (event.key === "ArrowUp" ? 1 : -1));
    } else if (event.key in moves) {
      this.focus(moves[event.key]);
    } else if (event.key === "Insert" || event.key === "+") {
      this.changed([...this.tokens.slice(0, step + 1), 0, ...this.tokens.slice(step + 1)]);
    } else if ((event.key === "Delete" || event.key === "Backspace") && last > 0) {
      this.changed(this.tokens.filter((_, place) => place !== step));
    } else return;
    event.preventDefault();
  }
}
