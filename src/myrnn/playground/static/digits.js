// The symbols of the sequence, editable by click, typing and arrow keys, each with the predicted probability below it.
import {saysAt, shareOf, shown} from "./answers.js";
import {areWords, byId, make, percent} from "./dom.js";

// In root font sizes: narrower columns have small digits; the width of a letter of a class's name.
const DENSE = 1.3, LETTER = 0.65;

export class Digits {
  // `changed` is called with the new tokens.
  constructor(app, changed) {
    this.app = app;
    this.place = byId("digits");
    this.changed = changed;
    this.tokens = [];
    this.current = 0;
    this.room = 1;
    this.columns = [];
  }

  show(tokens, cell, em) {
    const {symbols, families} = this.app.task;
    if (tokens.length !== this.columns.length) this.build(tokens.length);
    this.tokens = [...tokens];
    this.room = cell / em / LETTER;
    this.place.style.setProperty("--cell", `${cell}px`);
    this.place.classList.toggle("dense", cell < DENSE * em);
    this.place.classList.toggle("words", areWords(symbols));
    this.columns.forEach(({digit}, step) => {
      digit.textContent = digit.title = shown(symbols[tokens[step]] ?? String(tokens[step]));
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
      // A second click counts up, for devices without a keyboard.
      onclick: () => wasFocused ? this.set(step, this.tokens[step] + 1) : this.focus(step),
    });
    const fill = make("i"), bar = make("div", {class: "probability"}, fill), loss = make("i"), back = make("div", {class: "pull"}, loss);
    const answer = make("div", {class: "answer"}), says = make("div", {class: "answer"});
    return {digit, answer, says, bar, fill, back, loss, column: make("div", {class: "step"}, digit, answer, says, bar, back)};
  }

  // The prediction and the right answer after each step, and how much the loss depends on the step's state.
  showNumbers(seen) {
    const {gradients} = seen, most = Math.max(...gradients, 1e-30), {symbols, each} = this.app.task;
    this.columns.forEach((column, step) => {
      const told = each === "step" ? this.showStep(column, seen, step) : this.showEnd(column, seen, step);
      column.bar.title = told;
      column.loss.style.height = percent(gradients[step] / most, 1);
      column.back.title = `the loss changes by ${gradients[step].toExponential(2)} with the state after this step`;
      column.digit.setAttribute("aria-valuetext", `${shown(symbols[this.tokens[step]])}, ${told}`);
    });
  }

  // The probability of the second class if the sequence ended there.
  showEnd({fill}, seen, step) {
    const share = shareOf(seen, step, 1);
    fill.style.height = percent(Math.abs(share - 0.5), 2);
    fill.style.bottom = share < 0.5 ? percent(share, 2) : "50%";
    fill.className = share < 0.5 ? "no" : "yes";
    return `if it ended here: ${percent(share, 1)} ${this.app.task.classes[1]}`;
  }

  // The likeliest class and its probability; the colour says whether it is right.
  showStep({fill, says, answer}, seen, step) {
    const {classes} = this.app.task, [one, share] = saysAt(seen, step), right = seen.answers[step], named = which => shown(classes[which]);
    // If names do not fit, show their first letters.
    const brief = classes.some(name => name.length > Math.max(1, this.room)) ? which => named(which)[0] : named;
    says.textContent = brief(one);
    fill.style.height = percent(share, 2);
    fill.style.bottom = "0";
    fill.className = right === null ? "unasked" : right === one ? "right" : "wrong";
    says.className = `answer ${fill.className}`;
    answer.textContent = right === null ? "" : brief(right);
    answer.title = right === null ? "nothing is asked here" : `right is ${named(right)}`;
    const others = seen.likely[step].map(([which, probability]) => `${named(which)} ${percent(probability, 1)}`).join(", ");
    return `${others}${right === null ? "" : `; right is ${named(right)}`}`;
  }

  // The tab key reaches one symbol, the arrow keys the others.
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
