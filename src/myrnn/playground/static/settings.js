// The controls of what is trained, made from what the server says of them.
import {byId, make} from "./dom.js";
import {DEFAULTS, RATES} from "./known.js";
import {writeLink} from "./link.js";

// Controls that share a line of three.
const THIRDS = {pattern_length_min: "third", pattern_length_max: "third", alphabet_size: "third", copied_min: "third", copied_max: "third", pause: "third", cell: "thirds", dim_recurrent: "third"};
const RESTING = "Press play. Then change a setting, and see what happens.";

export class Settings {
  constructor(app) {
    this.app = app;
    this.controls = new Map();
    app.connection.on("welcome", message => this.build(message.settings));
    // The latest choice, until its network arrives; networks of earlier choices must not replace it.
    this.awaited = null;
    this.known = null;
    app.connection.on("network", message => this.take(message.settings));
    app.connection.on("adjusted", message => this.take(message.settings));
    app.connection.on("error", () => this.giveUp());
  }

  build(described) {
    if (this.controls.size) return;
    const groups = new Map();
    this.described = described;
    for (const one of described) {
      if (!groups.has(one.group)) groups.set(one.group, [make("h2", {id: `group-${groups.size}`}, one.group)]);
      const select = make("select", {id: `set-${one.name}`, "data-hint": one.hint, onchange: () => this.changed(one.name)});
      one.offered.forEach(([value, label]) => select.append(make("option", {value: JSON.stringify(value)}, label)));
      this.controls.set(one.name, select);
      const long = one.offered.some(([, label]) => label.length > 8), kind = ["control", long && "long", THIRDS[one.name]].filter(Boolean).join(" ");
      groups.get(one.group).push(make("div", {class: kind}, make("label", {for: select.id}, one.label), select));
    }
    for (const [heading, ...controls] of groups.values()) {
      byId("settings").append(make("div", {class: "group", role: "group", "aria-labelledby": heading.id}, heading, ...controls));
    }
    this.show(this.app.settings);
  }

  show(settings) {
    this.app.settings = settings;
    for (const [name, select] of this.controls) {
      const value = JSON.stringify(settings[name]);
      // A link or a run may have a value that is not offered.
      if (![...select.options].some(option => option.value === value)) {
        select.append(make("option", {value}, settings[name] === null ? "off" : String(settings[name])));
      }
      select.value = value;
    }
    // Hide settings that the chosen kinds do not have.
    for (const {name, of} of this.described || []) {
      this.controls.get(name).closest(".control").hidden = Boolean(of) && !of[1].includes(settings[of[0]]);
    }
    if (this.controls.size) byId("settings-told").textContent = `Settings: ${this.summary(settings)}`;
    writeLink(settings, this.app.tokens, DEFAULTS);
  }

  // The most important settings in a few words.
  summary(settings) {
    const word = name => {
      const {offered} = this.described.find(one => one.name === name), known = offered.find(([value]) => value === settings[name]);
      return known ? known[1].replace(/ \(.*/, "") : settings[name];
    };
    return `${word("task")}, ${word("cell")}, ${word("dim_recurrent")} units, ${word("optimizer")} ${word("learning_rate")}`;
  }

  changed(name) {
    const settings = {...this.app.settings, [name]: JSON.parse(this.controls.get(name).value)};
    // A learning rate that suits the newly chosen optimizer.
    if (name === "optimizer") settings.learning_rate = RATES[settings.optimizer] ?? settings.learning_rate;
    // Keep minimum and maximum consistent.
    const least = name.replace(/_max$/, "_min"), most = name.replace(/_min$/, "_max");
    if (name !== most) settings[most] = Math.max(settings[least], settings[most]);
    if (name !== least) settings[least] = Math.min(settings[least], settings[most]);
    if (name === "task") this.app.wantsExample = settings.task;
    this.apply(settings);
  }

  // A network whose weights fit the new settings continues; with `anew` a new one begins in any case.
  apply(settings, anew = false) {
    if (this.app.connection.send("configure", {settings, anew})) {
      this.awaited = settings;
      this.show(settings);
    } else this.show(this.app.settings);
  }

  // Show the settings of a run, whatever they are.
  load(run) {
    this.awaited = null;
    this.app.wantsExample = true;
    return this.app.connection.send("load", {run});
  }

  // Show the settings of the next network, whatever they are.
  forget() {
    this.awaited = null;
  }

  take(settings) {
    this.known = settings;
    if (this.awaited && Object.keys(DEFAULTS).some(name => this.awaited[name] !== settings[name])) return;
    this.awaited = null;
    this.show(settings);
  }

  // The choice may have been refused: then the previous network stays.
  giveUp() {
    if (this.awaited && this.known) this.show(this.known);
    this.awaited = null;
  }
}

// The controls are folded on small screens.
export function startFold() {
  const fold = byId("settings-fold"), wide = matchMedia("(min-width: 700px)"), follow = () => { fold.open = wide.matches; };
  wide.addEventListener("change", follow);
  follow();
}

// The line below the controls explains the focused one.
export function startHints() {
  const hint = byId("hint");
  const show = event => {
    const owner = event.target.closest?.("[data-hint]");
    hint.textContent = owner ? owner.dataset.hint : RESTING;
    hint.classList.toggle("resting", !owner);
  };
  show({target: hint});
  document.addEventListener("pointerover", show);
  document.addEventListener("focusin", show);
  const describe = node => { node.title = node.dataset.hint; };
  document.querySelectorAll("[data-hint]").forEach(describe);
  new MutationObserver(() => document.querySelectorAll("[data-hint]:not([title])").forEach(describe))
    .observe(document.body, {subtree: true, childList: true});
}
