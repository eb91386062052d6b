// Four questions, each with settings and something to watch; the answer appears when it is visible.
import {meanAccuracy} from "./accuracy.js";
import {byId, make, say} from "./dom.js";
import {DEFAULTS} from "./known.js";
import {STOPS} from "./stops.js";

export class Tour {
  constructor(app) {
    this.app = app;
    this.at = -1;
    // The part that begins when the network plays: the stop, or its second part.
    this.part = null;
    // The part whose answer is awaited, from play on.
    this.awaited = null;
    // Whether the network already has the part's settings.
    this.isFresh = false;
    // Whether the tour has paused the training to look again.
    this.hasPaused = false;
    // The user's choices before the tour.
    this.before = null;
    this.forget();
    byId("tour-open").addEventListener("click", () => this.at < 0 ? this.open() : this.close());
    document.addEventListener("keydown", event => { if (event.key === "Escape" && this.at >= 0) this.close(); });
    const last = flow => flow?.mean?.at(-1) ?? 0;
    app.connection.on("network", ({aside}) => {
      this.forget();
      this.isFresh = true;
      // The page was loaded again during a tour.
      if (aside && this.at < 0) app.connection.send("take_back");
    });
    app.connection.on("accuracy", report => this.note(report, () => ({report, ...meanAccuracy(report)})));
    app.connection.on("gradient", flow => this.note(flow, () => ({left: last(flow), pinnedLeft: app.pinned ? last(app.pinned.gradient) : undefined})));
    app.connection.on("mistakes", mistakes => this.note(mistakes, () => ({[`${mistakes.family}Wrong`]: mistakes.count / mistakes.samples})));
    app.connection.on("status", () => this.judge());
  }

  // The facts about the network, each with its iteration.
  forget() {
    this.facts = new Map();
  }

  // A failed update gives no fact.
  note({iteration, problem}, facts) {
    if (problem) return;
    for (const [name, value] of Object.entries(facts())) this.facts.set(name, {iteration, value});
    this.judge();
  }

  // The facts of matching iterations, by name.
  known(right) {
    return Object.fromEntries([...this.facts].filter(([, {iteration}]) => right(iteration)).map(([name, {value}]) => [name, value]));
  }

  get stop() {
    return STOPS[this.at];
  }

  // Set aside the user's network, and remember the choices on the page.
  open() {
    const {app} = this, {speed} = app.transport;
    if (!app.connection.send("set_aside")) return;
    this.before = {speed, tokens: app.tokens, family: app.mistakes.family, shortcuts: byId("shortcuts").checked};
    this.go(0);
  }

  go(at) {
    this.at = at;
    const {app, stop} = this;
    this.begin(stop);
    app.connection.send("pause");
    if (app.pinned) app.connection.send("unpin");
    app.settingsPanel.apply({...DEFAULTS, ...stop.settings}, true);
    app.transport.setSpeed(stop.speed);
    app.row.choose([...stop.tokens].map(Number));
    app.mistakes.choose("trained");
    this.showShortcuts(Boolean(stop.shortcuts));
    this.point(stop);
    app.watch(stop.views);
    this.show();
  }

  begin(part) {
    this.part = part;
    this.awaited = null;
    this.isFresh = false;
  }

  showShortcuts(shown) {
    if (byId("shortcuts").checked !== shown) byId("shortcuts").click();
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
      make("div", {class: "acts"}, button("Play", () => this.play(), "plain main"),
        ...(stop.second ? [button(stop.second.label, () => this.playSecond(stop))] : []), next, button("Close", () => this.close()),
        make("span", {class: "small"}, "Your own network waits. It comes back when you close the tour.")),
    );
    byId("tour-title").focus({preventScroll: true});
    this.bring(stop.card);
  }

  play() {
    this.app.connection.send("play");
    if (this.part) this.wait(this.part);
  }

  playSecond(stop) {
    this.app.connection.send("pin");
    this.app.settingsPanel.apply({...DEFAULTS, ...stop.settings, ...stop.second.settings}, true);
    this.begin(stop.second);
    this.play();
  }

  // On small screens the tour is at the bottom, so scroll the card to the top; instantly, so that it stays there when
  // the cards above it grow.
  bring(card) {
    byId(card).scrollIntoView({block: innerWidth < 1200 ? "start" : "nearest", behavior: "instant"});
  }

  wait(awaited) {
    this.awaited = awaited;
    this.hasPaused = false;
    this.forget();
    this.tellEnd(awaited.watch, false);
    this.bring(this.stop.card);
  }

  // Check whether the awaited answer is visible. Facts to compare must be of the same network at rest.
  judge() {
    const {app} = this, {transport} = app;
    // The button in the header and the space bar start it, too.
    if (!this.awaited && this.part && this.isFresh && transport.playing) this.wait(this.part);
    const {awaited} = this;
    if (!awaited) return;
    let facts = this.known(iteration => iteration >= awaited.from);
    if (awaited.enough) {
      if (!transport.playing) facts = this.known(iteration => iteration >= awaited.from && iteration === transport.iteration);
      if (!awaited.needs.every(name => facts[name] !== undefined)) return;
      const enough = awaited.enough(facts);
      // The network changes until it rests, and may then need more training; a pause of the user's lasts.
      if (enough ? transport.playing : !transport.playing && this.hasPaused) {
        app.connection.send(enough ? "pause" : "play");
        this.hasPaused = enough;
      }
      if (!enough || transport.playing) return;
    }
    const found = awaited.seen({iteration: transport.iteration, ...facts}, family => app.mistakes.choose(family));
    if (!found) return;
    this.awaited = this.part = null;
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
    const {app, before} = this;
    this.at = -1;
    this.begin(null);
    byId("tour").hidden = true;
    this.point(null);
    app.watch([]);
    app.connection.send("pause");
    app.settingsPanel.forget();
    app.connection.send("take_back");
    app.transport.setSpeed(before.speed);
    app.row.choose(before.tokens);
    app.mistakes.choose(before.family);
    this.showShortcuts(before.shortcuts);
    byId("tour-open").focus();
  }
}
