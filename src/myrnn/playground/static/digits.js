// The digits of the sequence, each to be clicked, typed and stepped; under each the probability that the network gives.
import {byId, make, percent} from "./dom.js";

export class Digits {
  // `changed` is called with the new tokens.
  constructor(changed) {
    this.place = byId("digits");
    this.changed = changed;
    this.tokens = [];
    this.most = 9;
    this.columns = [];
  }

  show(tokens, cell, most) {
    this.most = most;
    if (tokens.length !== this.columns.length) this.build(tokens.length);
    this.tokens = [...tokens];
    this.place.style.setProperty("--cell", `${cell}px`);
    this.place.classList.toggle("dense", cell < 20);
    this.columns.forEach(({digit}, step) => {
      digit.textContent = tokens[step];
      digit.setAttribute("aria-valuenow", tokens[step]);
      digit.classList.toggle("half", step === Math.floor(tokens.length / 2) && tokens.length % 2 === 0);
    });
  }

  build(steps) {
    const focused = this.columns.findIndex(({digit}) => digit === document.activeElement);
    this.columns = Array.from({length: steps}, (_, step) => {
      const digit = make("button", {
        class: "digit", role: "spinbutton", "aria-label": `digit ${step + 1}`, "aria-valuemin": 0, "aria-valuemax": this.most,
        onkeydown: event => this.key(event, step), onclick: event => event.currentTarget.focus(),
        onwheel: event => { if (document.activeElement === event.currentTarget) { event.preventDefault(); this.set(step, this.tokens[step] + (event.deltaY < 0 ? 1 : -1)); } },
      });
      const fill = make("i"), bar = make("div", {class: "probability"}, fill), loss = make("i"), back = make("div", {class: "pull"}, loss);
      return {digit, bar, fill, back, loss, column: make("div", {class: "step"}, digit, bar, back)};
    });
    this.place.replaceChildren(...this.columns.map(({column}) => column));
    if (focused >= 0) this.focus(Math.min(focused, steps - 1));
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
      loss.style.height = percent(gradients[step] > 0 ? Math.max(0, 1 + Math.log10(gradients[step] / most) / 4) : 0, 1);
      back.title = `the loss changes by ${gradients[step].toExponential(2)} with the state after this step`;
      digit.setAttribute("aria-valuetext", `${this.tokens[step]}, ${percent(share)} match if it ended here`);
    });
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
