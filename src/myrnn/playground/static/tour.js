// Four questions, each a few settings and something to watch until it is seen.
import {byId, make} from "./dom.js";
import {DEFAULTS} from "./settings.js";

const STOPS = [
  {
    title: "Does it learn?", card: "card-accuracy", speed: 1000, tokens: "123123",
    settings: {pattern_length_max: 3},
    text: "An RNN reads digits one by one and must say whether the second half repeats the first. Nobody tells it to compare. Press play and watch the bars: they begin at guessing, and rise within seconds. That is learning.",
    end: "Blue bars well above the line of guessing: yes, it learns. The grey bars are longer than all that it has seen.",
  },
  {
    title: "Why are long ones hard?", card: "card-gradient", speed: 0, tokens: "3141592631415926",
    settings: {},
    text: "Now halves of up to ten digits. Let it train at full speed until the bars move no more: they fall with the length. Then look at the gradient, step by step, before the end.",
    end: "Little of the gradient is left twenty steps back: what the first digits did is hardly learned from. The longer, the harder.",
  },
  {
    title: "Does it compare, or cheat?", card: "card-mistakes", speed: 0, tokens: "27182827182828", family: "near", shortcuts: true,
    settings: {pattern_length_min: 3, pattern_length_max: 7},
    text: "Train it until it looks good, with the lines of short cuts on: what one reaches from the ends alone, or from how often each digit occurs. Then see “one digit off”, where no such short cut helps.",
    end: "On ordinary sequences it is well above the short cuts, but one changed digit often escapes it. It compares, though not every digit. Click a mistake and change it until it is seen.",
  },
  {
    title: "Let the gradient vanish", card: "card-gradient", speed: 10000, tokens: "3141592631415926", pin: true,
    settings: {cell: "rnn-tanh"},
    second: {cell: "lstm"},
    text: "A tanh network squeezes its state at every step. Play for a few seconds and watch the gradient fall. Then pin it, and train an LSTM beside it, whose state passes through gates.",
    end: "The dashed line is the tanh network, the solid one the LSTM: through its gates more gets back to the first digits.",
  },
];

export class Tour {
  constructor(app) {
    this.app = app;
    this.at = -1;
    byId("tour-open").addEventListener("click", () => this.at < 0 ? this.go(0) : this.close());
    document.addEventListener("keydown", event => { if (event.key === "Escape" && this.at >= 0) this.close(); });
  }

  go(at) {
    this.at = at;
    const stop = STOPS[at];
    this.app.connection.send("pause");
    if (this.app.pinned) this.app.connection.send("unpin");
    this.app.settingsPanel.apply({...DEFAULTS, ...stop.settings});
    this.app.transport.setSpeed(stop.speed);
    this.app.row.choose([...stop.tokens].map(Number));
    if (stop.family) document.querySelector(`#families [data-value=${stop.family}]`).click();
    if (byId("shortcuts").checked !== Boolean(stop.shortcuts)) byId("shortcuts").click();
    document.querySelectorAll(".card.pointed").forEach(card => card.classList.remove("pointed"));
    byId(stop.card).classList.add("pointed");
    this.show(stop);
  }

  show(stop) {
    const place = byId("tour");
    place.hidden = false;
    const button = (text, act, kind = "plain") => make("button", {class: kind, onclick: act}, text);
    const play = button("Play", () => { this.app.connection.send("play"); this.tellEnd(stop); byId(stop.card).scrollIntoView({behavior: "smooth", block: "center"}); }, "plain main");
    const next = this.at + 1 < STOPS.length ? button("Next question", () => this.go(this.at + 1)) : button("Done", () => this.close());
    const second = stop.second && button("Pin it, train an LSTM", () => {
      this.app.connection.send("pin");
      this.app.settingsPanel.apply({...DEFAULTS, ...stop.settings, ...stop.second});
      this.app.connection.send("play");
    });
    place.replaceChildren(
      make("div", {class: "stops", role: "group", "aria-label": "Questions"}, ...STOPS.map((one, i) =>
        make("button", {"aria-pressed": String(i === this.at), onclick: () => this.go(i)}, `${i + 1}. ${one.title}`))),
      make("p", {}, stop.text), make("p", {id: "tour-end", class: "end", "aria-live": "polite"}),
      make("div", {class: "acts"}, play, ...(second ? [second] : []), next, button("Close", () => this.close())),
    );
    window.scrollTo({top: 0, behavior: "smooth"});
  }

  tellEnd(stop) {
    byId("tour-end").textContent = `What to see: ${stop.end}`;
  }

  close() {
    this.at = -1;
    byId("tour").hidden = true;
    document.querySelectorAll(".card.pointed").forEach(card => card.classList.remove("pointed"));
    byId("tour-open").focus();
  }
}
