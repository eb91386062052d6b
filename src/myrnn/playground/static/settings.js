// The controls of what is trained, made from what the server says of them.
import {byId, make} from "./dom.js";
import {writeLink} from "./link.js";

export const DEFAULTS = {
  task: "twin-halves", negatives: "uniform", pattern_length_min: 1, pattern_length_max: 10, alphabet_size: 10,
  cell: "rnn-relu", dim_recurrent: 50, batch_size: 1, optimizer: "adam", learning_rate: 0.001, gradient_clip: null, seed: 0,
};
// A learning rate that suits each optimizer, for whoever changes only the optimizer.
const RATES = {adam: 0.001, rmsprop: 0.001, sgd: 0.03};

export class Settings {
  constructor(app) {
    this.app = app;
    this.controls = new Map();
    app.connection.on("welcome", message => this.build(message.settings));
    app.connection.on("network", message => this.show(message.settings));
  }

  build(described) {
    if (this.controls.size) return;
    for (const one of described) {
      const select = make("select", {id: `set-${one.name}`, "data-hint": one.hint, onchange: () => this.changed(one.name)});
      one.offered.forEach(([value, label]) => select.append(make("option", {value: JSON.stringify(value)}, label)));
      this.controls.set(one.name, select);
      byId("settings").append(make("div", {class: one.offered.some(([, label]) => label.length > 7) ? "control long" : "control"}, make("label", {for: select.id}, one.label), select));
    }
    this.show(this.app.settings);
  }

  show(settings) {
    this.app.settings = settings;
    for (const [name, select] of this.controls) {
      const value = JSON.stringify(settings[name]);
      // A link or a run may hold a value that is not offered.
      if (![...select.options].some(option => option.value === value)) {
        select.append(make("option", {value}, settings[name] === null ? "off" : String(settings[name])));
      }
      select.value = value;
    }
    writeLink(settings, this.app.tokens, DEFAULTS);
  }

  changed(name) {
    const settings = {...this.app.settings, [name]: JSON.parse(this.controls.get(name).value)};
    if (name === "optimizer") settings.learning_rate = RATES[settings.optimizer];
    if (name === "pattern_length_min") settings.pattern_length_max = Math.max(settings.pattern_length_min, settings.pattern_length_max);
    if (name === "pattern_length_max") settings.pattern_length_min = Math.min(settings.pattern_length_min, settings.pattern_length_max);
    this.apply(settings);
  }

  apply(settings) {
    if (this.app.connection.send("configure", {settings})) this.show(settings);
    else this.show(this.app.settings);
  }
}

// The line below the controls says what the one does that is looked at.
export function startHints() {
  const hint = byId("hint"), resting = hint.textContent;
  const show = event => {
    const owner = event.target.closest?.("[data-hint]");
    hint.textContent = owner ? owner.dataset.hint : resting;
  };
  document.addEventListener("pointerover", show);
  document.addEventListener("focusin", show);
  const describe = node => { node.title = node.dataset.hint; };
  document.querySelectorAll("[data-hint]").forEach(describe);
  new MutationObserver(() => document.querySelectorAll("[data-hint]:not([title])").forEach(describe))
    .observe(document.body, {subtree: true, childList: true});
}
