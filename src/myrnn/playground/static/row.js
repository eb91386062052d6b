// The sequence that is looked at: its symbols, the hidden state after each, and what the network says.
import {judged, saysAt, shareOf, shown} from "./answers.js";
import {Digits} from "./digits.js";
import {byId, make, percent, rootSize, say, short, unpacked} from "./dom.js";
import {drawHeat, largest} from "./heat.js";
import {FOLLOWED, LONGEST} from "./known.js";
import {SequenceField} from "./sequence.js";
import {onTheme} from "./theme.js";
import {Unit} from "./unit.js";

// Of a column, and of the heights of the states and of those of the pinned network, in parts of the root's size.
const NARROWEST = 0.8, WIDEST = 6, LOWEST = 7.5, HIGHEST = 20, UNIT = 0.4;
// The speed at which every sequence can be followed, in iterations a second.
const SLOW = 3;
// What the states of the cells are called; any other has its name alone.
const STATES = {h: "hidden state", c: "cell state"};

export class Row {
  constructor(app) {
    this.app = app;
    this.seen = null;
    // Why the network cannot be looked at as it is.
    this.problem = "";
    this.scale = 1;
    this.marked = null;
    // The sequence that was sent last, until the network's answer to it is here.
    this.asked = null;
    this.followed = -1;
    this.said = "";
    this.digits = new Digits(app, tokens => this.choose(tokens));
    this.field = new SequenceField(app, tokens => this.choose(tokens));
    this.unit = new Unit(app);
    app.connection.on("row", message => this.take(message));
    app.connection.on("network", ({task, settings}) => {
      this.scale = 0;
      byId("task-told").textContent = task.told;
      byId("card-row").dataset.each = task.each;
      byId("ended-label").textContent = task.each === "sequence" ? `${task.classes[1]}, if it ended here?` : "how sure it is";
      const isWanted = [true, settings.task].includes(this.app.wantsExample);
      if (isWanted) this.app.wantsExample = false;
      const isOther = task.each === "step" || !this.isReadable(task);
      this.choose(isWanted && isOther && task.example ? task.example : this.app.tokens);
    });
    app.connection.on("status", message => this.follow(message));
    new ResizeObserver(() => this.draw()).observe(byId("row-scroll"));
    onTheme(() => this.draw());
    this.listen();
    this.show(app.tokens);
  }

  listen() {
    byId("draw-match").addEventListener("click", () => this.drawAtRandom(1));
    byId("draw-other").addEventListener("click", () => this.drawAtRandom(0));
    byId("draw-any").addEventListener("click", () => this.drawAtRandom(null));
    byId("length").max = LONGEST;
    byId("length").addEventListener("change", event => this.resize(event.target.value));
    byId("state").addEventListener("change", event => this.app.connection.send("state", {name: event.target.value}));
    byId("follow").addEventListener("change", event => {
      const {speed} = this.app.transport;
      if (event.target.checked && (speed === 0 || speed > FOLLOWED)) this.app.transport.setSpeed(SLOW);
    });
    const heat = byId("heat");
    heat.addEventListener("pointermove", event => this.mark(this.placeOf(event)));
    heat.addEventListener("click", event => this.mark(this.placeOf(event)));
    heat.addEventListener("keydown", event => this.key(event));
    heat.addEventListener("focus", () => this.mark(this.marked || {step: 0, unit: 0}));
  }

  // Whether the sequence has only symbols that a task has, too.
  isReadable({symbols}) {
    return this.app.tokens.every(token => token < symbols.length && /^[0-9]$/.test(symbols[token]));
  }

  drawAtRandom(label) {
    this.wait(null);
    this.app.connection.send("draw", {label, length: Math.max(2, this.app.tokens.length)});
  }

  // Look at another sequence.
  choose(tokens) {
    // The symbols of a network that is on its way are not known yet: it has the last word.
    const most = this.app.settingsPanel.awaited ? Infinity : this.app.task.symbols.length - 1, chosen = tokens.slice(0, LONGEST).map(token => Math.min(token, most));
    this.show(chosen);
    this.app.tokens = chosen;
    if (this.app.connection.send("tokens", {tokens: chosen})) this.wait(String(chosen));
    this.app.linked();
  }

  // What was seen of another sequence fades until the answer is here.
  wait(asked) {
    this.asked = asked;
    byId("card-row").classList.toggle("waiting", asked !== null);
  }

  // A length that is not a number leaves the sequence as it is.
  resize(text) {
    const length = text === "" ? this.app.tokens.length : Math.round(Number(text));
    const wanted = Math.min(Math.max(1, length), LONGEST), tokens = this.app.tokens.slice(0, wanted);
    while (tokens.length < wanted) tokens.push(Math.floor(Math.random() * this.app.task.symbols.length));
    this.choose(tokens);
    byId("length").value = wanted;
  }

  show(tokens) {
    this.digits.show(tokens, this.cell(tokens.length), rootSize());
    this.field.show(tokens);
    if (document.activeElement !== byId("length")) byId("length").value = tokens.length;
  }

  // How wide a column is, in pixels.
  cell(steps) {
    const em = rootSize(), room = byId("row-scroll").clientWidth - document.querySelector(".row-labels").offsetWidth - 1.3 * em;
    return Math.max(NARROWEST * em, Math.min(WIDEST * em, Math.floor(room / steps)));
  }

  take(message) {
    this.problem = message.problem || "";
    byId("card-row").classList.toggle("unseen", Boolean(this.problem));
    if (this.problem) {
      this.wait(null);
      this.tellVerdict();
      return;
    }
    const tokens = String(message.tokens);
    // What comes of an earlier sequence must not take the place of what was typed since.
    if (this.asked !== null && tokens !== this.asked) return;
    this.wait(null);
    this.seen = {...message, values: unpacked(message.states)};
    if (tokens !== String(this.app.tokens)) {
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
    byId("state-label").textContent = STATES[state] ? `${STATES[state]} ${state}` : `state ${state}`;
  }

  draw() {
    const seen = this.seen;
    if (!seen) return;
    const em = rootSize(), steps = seen.tokens.length, cell = this.cell(steps);
    if (this.asked === null) this.show(seen.tokens);
    if (seen.tokens.length === this.digits.columns.length) this.digits.showNumbers(seen);
    const high = (units, factor) => factor * em * Math.min(HIGHEST, Math.max(LOWEST, units * UNIT));
    this.drawing = {steps, units: seen.units};
    const scale = this.scale || 1;
    drawHeat(byId("heat"), {states: seen.values, steps, units: seen.units, cell, height: high(seen.units, 1), scale, marked: this.marked && this.bounded(this.marked)});
    byId("heat-low").textContent = `−${short(scale)}`;
    byId("heat-high").textContent = short(scale);
    byId("pinned-row").hidden = !seen.pinned;
    if (seen.pinned) {
      const values = unpacked(seen.pinned.states), widest = largest(values);
      drawHeat(byId("heat-pinned"), {states: values, steps, units: seen.pinned.units, cell, height: high(seen.pinned.units, 0.6), scale: widest});
      byId("pinned-scale").textContent = `The pinned network reads the same sequence; here the colours go from −${short(widest)} to ${short(widest)}.`;
    }
    this.tellVerdict();
    this.unit.draw(seen, this.marked && this.bounded(this.marked));
  }

  // What the network says at the end, and what is right there.
  verdict(seen) {
    const last = seen.tokens.length - 1, share = shareOf(seen, last, 1), says = share >= 0.5 ? 1 : 0, truth = seen.answers[last];
    const names = this.app.task.classes;
    return {right: says === truth, says: names[says], sure: percent(says ? share : 1 - share), truth: names[truth], loss: seen.loss};
  }

  // The network's answer for screen readers, and the parts of the line that shows it.
  told(seen) {
    const pinned = seen.pinned;
    const mark = right => make("b", {class: right ? "right" : "wrong"}, right ? "✓ right" : "✗ wrong");
    const loss = make("span", {class: "soft"}, `loss ${short(seen.loss ?? NaN)}`), others = text => pinned ? [make("span", {class: "pinned-told"}, ` The pinned network ${text}`)] : [];
    if (this.app.task.each === "step") {
      const {asked, right} = judged(seen), of = other => `${other.right} of ${other.asked} answers`;
      if (!asked) return {says: "nothing is asked in this sequence", parts: ["Nothing is asked in this sequence."]};
      const first = make("b", {class: right === asked ? "right" : "wrong"}, `${right === asked ? "✓ " : ""}${of({asked, right})} right`);
      const [next, sure] = saysAt(seen, seen.tokens.length - 1);
      const end = seen.answers[seen.tokens.length - 1] === null && this.app.task.views.includes("text") ? ` After the last character it expects “${shown(this.app.task.classes[next])}”, ${percent(sure)} sure. ` : " ";
      return {says: `${of({asked, right})} are right`, parts: [first, end, loss, ...others(pinned ? `has ${of(judged(pinned))} right.` : "")]};
    }
    const one = this.verdict(seen), says = `The network says “${one.says}”, ${one.sure} sure`, other = pinned && this.verdict(pinned);
    // Of data, the class of other sequences is not known.
    const parts = one.truth === undefined ? [`${says}. The data do not say what it is.`] : [mark(one.right), ` ${says}; it is “${one.truth}”. `, loss];
    const said = `${one.truth === undefined ? "" : `${one.right ? "right" : "wrong"}, `}the network says ${one.says}, ${one.sure} sure`;
    return {says: said, parts: [...parts, ...others(pinned ? `says “${other.says}”, ${other.sure} sure.` : "")]};
  }

  tellVerdict() {
    if (this.problem) {
      byId("verdict").textContent = this.problem;
      return;
    }
    const {says, parts} = this.told(this.seen);
    byId("verdict").replaceChildren(...parts);
    byId("verdict").dataset.loss = this.seen.loss;
    const seen = `${this.seen.tokens}, state ${this.seen.state}`;
    byId("heat").setAttribute("aria-label", `${byId("state-label").textContent} after each of ${this.seen.tokens.length} symbols, ${this.seen.units} units; the arrow keys choose a unit`);
    // Announce another sequence to screen readers, not twenty times a second of another loss.
    if (this.said !== seen && !this.app.transport.playing) say(says);
    this.said = seen;
  }

  placeOf(event) {
    if (!this.seen || !this.drawing) return null;
    const box = byId("heat").getBoundingClientRect();
    return {
      step: Math.floor((event.clientX - box.left) / box.width * this.drawing.steps),
      unit: Math.floor((event.clientY - box.top) / box.height * this.drawing.units),
    };
  }

  bounded({step, unit}) {
    const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);
    return {step: inside(step, this.seen.tokens.length), unit: inside(unit, this.seen.units)};
  }

  mark(place) {
    if (!place || !this.seen) return;
    this.marked = this.bounded(place);
    this.draw();
  }

  key(event) {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!move || !this.marked) return;
    event.preventDefault();
    this.mark({step: this.marked.step + move[0], unit: this.marked.unit + move[1]});
    const {step, unit} = this.marked;
    say(`unit ${unit} after step ${step + 1}: ${short(this.seen.values[step * this.seen.units + unit])}`);
  }

  follow({last, iteration}) {
    if (!byId("follow").checked || !last || iteration === this.followed) return;
    this.followed = iteration;
    this.choose(last.tokens);
  }
}
