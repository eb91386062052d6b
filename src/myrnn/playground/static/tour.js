// Four questions, each some settings and something to watch; what is found is told when it is seen.
import {meanAccuracy} from "./accuracy.js";
import {byId, make, say} from "./dom.js";
import {DEFAULTS} from "./known.js";
import {STOPS} from "./stops.js";

export class Tour {
  constructor(app) {
    this.app = app;
    this.at = -1;
    // What is waited for: the stop, or its second part, from play on until it is found.
    this.awaited = null;
    this.forget();
    byId("tour-open").addEventListener("click", () => this.at < 0 ? this.go(0) : this.close());
    document.addEventListener("keydown", event => { if (event.key === "Escape" && this.at >= 0) this.close(); });
    const last = flow => flow?.mean?.at(-1) ?? 0;
    app.connection.on("network", () => this.forget());
    app.connection.on("accuracy", report => this.note(report, () => ({report, ...meanAccuracy(report)})));
    app.connection.on("gradient", flow => this.note(flow, () => ({left: last(flow), pinnedLeft: app.pinned ? last(app.pinned.gradient) : undefined})));
    app.connection.on("mistakes", mistakes => this.note(mistakes, () => ({[`${mistakes.family}Wrong`]: mistakes.count / mistakes.samples})));
    app.connection.on("status", () => this.judge());
  }

  // What is known of the network: each fact with the iterations that it is of.
  forget() {
    this.facts = new Map();
  }

  // Where a look failed, there is no fact.
  note({iteration, problem}, facts) {
    if (problem) return;
    for (const [name, value] of Object.entries(facts())) this.facts.set(name, {iteration, value});
    this.judge();
  }

  // The facts of the right iterations, by name.
  known(right) {
    return Object.fromEntries([...this.facts].filter(([, {iteration}]) => right(iteration)).map(([name, {value}]) => [name, value]));
  }

  get stop() {
    return STOPS[this.at];
  }

  go(at) {
    this.at = at;
    const {app, stop} = this;
    app.connection.send("pause");
    if (app.pinned) app.connection.send("unpin");
    app.settingsPanel.apply({...DEFAULTS, ...stop.settings}, true);
    app.transport.setSpeed(stop.speed);
    app.row.choose([...stop.tokens].map(Number));
    app.mistakes.choose("trained");
    if (byId("shortcuts").checked !== Boolean(stop.shortcuts)) byId("shortcuts").click();
    this.awaited = null;
    this.point(stop);
    app.watch(stop.views);
    this.show();
  }

  point(stop) {
    document.querySelectorAll(".card.pointed").forEach(card => card.classList.remove("pointed"));
    if (stop) byId(stop.card).classList.add("pointed");
    document.body.classList.toggle("touring", Boolean(stop));
    byId("tour-open").setAttribute("aria-expanded", String(Boolean(stop)));
  }

  show() {
    const {stop} = this, place = byId("tour");
    place.hidden = false;
    const button = (text, act, kind = "plain") => make("button", {class: kind, onclick: act}, text);
    const next = this.at + 1 < STOPS.length ? button("Next question", () => this.go(this.at + 1)) : button("Done", () => this.close());
    place.replaceChildren(
      make("div", {class: "stops", role: "group", "aria-label": "Questions"}, ...STOPS.map((one, i) =>
        make("button", {"aria-pressed": String(i === this.at), "aria-label": `${i + 1}. ${one.title}`, title: one.title, onclick: () => this.go(i)}, String(i + 1)))),
      make("h2", {id: "tour-title", tabindex: -1}, stop.title), make("p", {}, stop.text), make("p", {id: "tour-end", class: "end", hidden: true}),
      make("div", {class: "acts"}, button("Play", () => this.play(stop), "plain main"),
        ...(stop.second ? [button(stop.second.label, () => this.playSecond(stop))] : []), next, button("Close", () => this.close())),
    );
    byId("tour-title").focus({preventScroll: true});
    this.bring(stop.card);
  }

  play(stop) {
    this.app.connection.send("play");
    this.wait(stop);
  }

  playSecond(stop) {
    this.app.connection.send("pin");
    this.app.settingsPanel.apply({...DEFAULTS, ...stop.settings, ...stop.second.settings}, true);
    this.app.connection.send("play");
    this.wait(stop.second);
  }

  // Where there is little room, the tour stands at the bottom: the card goes to the top.
  bring(card) {
    byId(card).scrollIntoView({block: innerWidth < 700 ? "start" : "nearest"});
  }

  wait(awaited) {
    this.awaited = awaited;
    this.forget();
    this.tellEnd(awaited.watch, false);
    this.bring(this.stop.card);
  }

  // See whether what is waited for has come. What is to be compared must be of one and the same network, at rest.
  judge() {
    const {awaited, app} = this, {transport} = app;
    if (!awaited) return;
    let facts = this.known(iteration => iteration >= awaited.from);
    if (awaited.enough) {
      if (!transport.playing) facts = this.known(iteration => iteration >= awaited.from && iteration === transport.iteration);
      if (!awaited.enough(facts)) return;
      if (transport.playing) {
        app.connection.send("pause");
        return;
      }
    }
    const found = awaited.seen({iteration: transport.iteration, ...facts}, family => app.mistakes.choose(family));
    if (!found) return;
    this.awaited = null;
    this.tellEnd(found, true);
  }

  tellEnd(text, seen) {
    const end = byId("tour-end");
    end.textContent = text;
    end.hidden = false;
    end.classList.toggle("seen", seen);
    say(text);
  }

  close() {
    this.at = -1;
    this.awaited = null;
    byId("tour").hidden = true;
    this.point(null);
    this.app.watch([]);
    byId("tour-open").focus();
  }
}
