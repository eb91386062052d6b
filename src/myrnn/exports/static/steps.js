// The table of steps: the symbol, the answer after it, and the states as colours.
import {byId, make, percent, rootSize, say, short} from "./dom.js";
import {drawHeat, largest} from "./heat.js";
import {meaningOf} from "./meaning.js";
import {onTheme} from "./theme.js";

// Only the last rows of a long sequence are shown.
const MOST_ROWS = 400;

// The states of a network: which one is shown, and its scale.
export class StateChoice {
  constructor(states, changed) {
    this.states = states;
    const select = byId("state");
    select.replaceChildren(...states.map(({name, size}) => make("option", {value: name}, `${name} (${size})`)));
    byId("state-choice").hidden = states.length < 2;
    byId("state-tools").hidden = !states.length;
    select.addEventListener("change", changed);
  }

  get chosen() {
    return this.states.find(({name}) => name === byId("state").value);
  }

  // The largest size of the values in all rows, which has the full colour.
  scaleOf(rows) {
    const {name} = this.chosen, scale = Math.max(1e-6, ...rows.map(row => largest(row.states[name])));
    byId("heat-low").textContent = `−${short(scale)}`;
    byId("heat-high").textContent = short(scale);
    return scale;
  }
}

export class Steps {
  constructor(data, states) {
    this.data = data;
    this.rows = [];
    this.marked = null;
    this.choice = new StateChoice(states, () => this.show(this.names, this.rows));
    byId("steps-scroll").classList.toggle("bare", !states.length);
    byId("steps-scroll").classList.toggle("wide", data.read === "rows" || data.symbols?.some(name => name.length > 4));
    byId("steps-told").textContent = states.length ? "Each row shows the answer after that step, and the numbers that the network remembers." : "Each row shows the answer after that step.";
    byId("steps-scroll").addEventListener("keydown", event => this.key(event));
    byId("steps-scroll").addEventListener("focus", () => { if (!this.marked && this.rows.length) this.mark(this.rows.length - 1, 0); });
    byId("steps").addEventListener("pointermove", event => this.point(event));
    byId("steps").addEventListener("click", event => this.point(event));
    onTheme(() => this.draw());
    new ResizeObserver(() => this.draw()).observe(byId("steps-scroll"));
  }

  show(names, rows) {
    Object.assign(this, {names, rows, marked: null, first: Math.max(0, rows.length - MOST_ROWS)});
    byId("unit-told").textContent = this.first ? `The last ${MOST_ROWS} of ${rows.length} steps are shown.` : "";
    byId("state-tools").hidden = !this.choice.states.length || !rows.length;
    const state = this.choice.chosen, heads = [["", "number"], [this.data.read === "rows" ? "numbers" : "symbol", "symbol"], [this.data.predictsNextInput ? "expects next" : "says", "answer"]];
    if (state) heads.push([`state ${state.name}`, "state"]);
    byId("steps").tHead.replaceChildren(make("tr", {}, ...heads.map(([name, kind]) => make("th", {scope: "col", class: kind}, name))));
    byId("steps").tBodies[0].replaceChildren(...rows.slice(this.first).map((row, i) => this.line(this.first + i, row, state)));
    this.draw();
    byId("steps-scroll").scrollTop = byId("steps-scroll").scrollHeight;
  }

  line(step, row, state) {
    const {name, sure, hue} = meaningOf(this.data, row.logits), answer = make("div", {class: hue}, make("span", {title: name}, name));
    if (sure !== undefined) {
      answer.style.setProperty("--share", percent(sure, 1));
      answer.append(make("small", {}, percent(sure)));
    }
    const cells = [make("th", {scope: "row", class: "number"}, String(step + 1)), make("td", {class: "symbol", title: this.names[step]}, this.names[step]), make("td", {class: "answer"}, answer)];
    if (state) cells.push(make("td", {class: "state"}, make("canvas", {"data-step": step, role: "img", "aria-label": this.summary(step, state)})));
    return make("tr", {}, ...cells);
  }

  // A state in words: its most active units.
  summary(step, {name}) {
    const values = [...this.rows[step].states[name]], places = values.map((_, i) => i).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]));
    return `${name}: ${places.slice(0, 3).map(i => `unit ${i} ${short(values[i])}`).join(", ")}`;
  }

  draw() {
    const state = this.choice.chosen;
    if (!state || !this.rows.length) return;
    const scale = this.choice.scaleOf(this.rows.slice(this.first)), height = 1.65 * rootSize();
    for (const canvas of byId("steps").querySelectorAll("canvas")) {
      const width = canvas.parentElement.clientWidth, marked = this.marked?.step === Number(canvas.dataset.step) ? {step: this.marked.unit, unit: 0} : null;
      if (width) drawHeat(canvas, {states: this.rows[canvas.dataset.step].states[state.name], steps: state.size, units: 1, cell: width / state.size, height, scale, marked});
      canvas.style.width = "";
    }
  }

  point(event) {
    if (!event.target.matches("canvas")) return;
    const box = event.target.getBoundingClientRect();
    this.mark(Number(event.target.dataset.step), Math.floor((event.clientX - box.left) / box.width * this.choice.chosen.size));
  }

  mark(step, unit) {
    const state = this.choice.chosen;
    if (!state) return;
    this.marked = {step: Math.min(Math.max(step, this.first), this.rows.length - 1), unit: Math.min(Math.max(unit, 0), state.size - 1)};
    const value = this.rows[this.marked.step].states[state.name][this.marked.unit];
    byId("unit-told").textContent = `Unit ${this.marked.unit} of ${state.name} after step ${this.marked.step + 1}: ${short(value)}`;
    this.draw();
  }

  key(event) {
    const move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!move || !this.marked || !this.choice.chosen) return;
    event.preventDefault();
    this.mark(this.marked.step + move[0], this.marked.unit + move[1]);
    byId("steps").querySelector(`[data-step="${this.marked.step}"]`).scrollIntoView({block: "nearest"});
    say(byId("unit-told").textContent);
  }
}
