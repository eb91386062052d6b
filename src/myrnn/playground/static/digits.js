// The digits of the sequence, each to be clicked, typed and stepped; under each the probability that the network gives.
import {byId, make, percent} from "./dom.js";

// Narrower columns, in parts of the root's size, have small digits.
const DENSE = 1.3;

export class Digits {
  // `changed` is called with the new tokens.
  constructor(changed) {
    this.place = byId("digits");
    this.changed = changed;
    this.tokens = [];
    this.most = 9;
    this.current = 0;
    this.columns = [];
  }

  show(tokens, cell, em, most) {
    this.most = most;
    if (tokens.length !== this.columns.length) this.build(tokens.length);
    this.tokens = [...tokens];
    this.place.style.setProperty("--cell", `${cell}px`);
    this.place.classList.toggle("dense", cell < DENSE * em);
    this.columns.forEach(({digit}, step) => {
      digit.textContent = tokens[step];
      digit.setAttribute("aria-valuenow", tokens[step]);
      digit.setAttribute("aria-valuemax", most);
      digit.classList.toggle("half", step === Math.floor(tokens.length / 2) && tokens.length % 2 === 0);
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
      class: "digit", role: "spinbutton", tabindex: -1, "aria-label": `digit ${step + 1}`, "aria-valuemin": 0,
      onkeydown: event => this.key(event, step),
      onfocus: () => this.moveTo(step),
      onpointerdown: event => { wasFocused = document.activeElement === event.currentTarget; },
      // A second click counts up, for whoever has no keys at hand.
      onclick: () => wasFocused ? this.set(step, this.tokens[step] + 1) : this.focus(step),
    });
    const fill = make("i"), bar = make("div", {class: "probability"}, fill), loss = make("i"), back = make("div", {class: "pull"}, loss);
    return {digit, bar, fill, back, loss, column: make("div", {class: "step"}, digit, bar, back)};
  }

  // Probabilities of a match if it ended there, and how much the loss still depends on each step's state.
  showNumbers(probabilities, gradients) {
    const most = Math.max(...gradients, 1e-30);
    this.columns.forEach(({digit, bar, fill, back, loss}, step) => {
      const share = probabilities[step];
      fill.style.height = percent(Math.abs(share - 0.5), 2);
      fill.style.bottom = share < 0.5 ? percent(share, 2) : "50%";
      fill.className = share < 0.5 ? "no" : "yes";
      bar.title = `if it ended here: ${percent(share, 1)} match`;
      loss.style.height = percent(gradients[step] / most, 1);
      back.title = `the loss changes by ${gradients[step].toExponential(2)} with the state after this step`;
      digit.setAttribute("aria-valuetext", `${this.tokens[step]}, ${percent(share)} match if it ended here`);
    });
  }

  // One digit is reached with the tab key, the others from there with the arrows.
  moveTo(step) {
    if (this.columns[this.current]) this.columns[this.current].digit.tabIndex = -1;
    this.current = step;
    this.columns[step].digit.tabIndex = 0;
  }

  focus(step) {
    this.columns[step]?.digit.focus();
  }

  set(step, value) {
    const tokens = [...this.tokens], digits = this.most + 1;
    tokens[step] = ((value % digits) + digits) % digits;
    this.changed(tokens);
  }

  key(event, step) {
    const last = this.tokens.length - 1;
    const moves = {ArrowLeft: Math.max(0, step - 1), ArrowRight: Math.min(last, step + 1), Home: 0, End: last};
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^[0-9]$/.test(event.key) && Number(event.key) <= this.most) {
      this.set(step, Number(event.key));
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
