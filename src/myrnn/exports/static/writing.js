// A network of text continues what was typed: each symbol is drawn by its probability, and read.
import {byId, make, say} from "./dom.js";
import {written} from "./given.js";
import {Reading, drawn, softmax} from "./reading.js";

// The time that is written without a pause, in milliseconds.
const CHUNK = 20;
// The characters, and the words, that it writes to begin with.
const OWN = {characters: 24, words: 10};
const frame = () => new Promise(resolve => { requestAnimationFrame(resolve); });

// The next symbol after `logits`: the likeliest one at temperature 0. The unknown symbol is never written.
export function nextSymbol({unknownToken}, logits, temperature, random = Math.random()) {
  const allowed = Array.from(logits, (value, token) => token === unknownToken ? -Infinity : value);
  return temperature > 0 ? drawn(softmax(allowed, temperature), random) : allowed.indexOf(Math.max(...allowed));
}

// What the network writes by itself, from a symbol that often begins a text, the same each time.
export function ownText(data, network) {
  const reading = new Reading(network), {symbols, startToken} = data, space = [". ", ".", "\n", " "].map(name => symbols.indexOf(name)).find(token => token >= 0);
  const tokens = [startToken ?? space ?? symbols.length - 1];
  for (let i = 1; i <= (data.separator === "" ? OWN.characters : OWN.words); i++) tokens.push(nextSymbol(data, reading.read(tokens).at(-1).logits, 0.4, (i * 0.618034) % 1));
  return tokens.slice(1);
}

export class Writing {
  // `given` returns the tokens that were typed.
  constructor(data, network, given) {
    Object.assign(this, {data, network, given, turn: 0});
    byId("card-writing").hidden = false;
    const told = () => { byId("temperature-told").textContent = Number(byId("temperature").value).toFixed(1); };
    byId("temperature").addEventListener("input", told);
    byId("write").addEventListener("click", () => this.write());
    told();
  }

  begin() {
    const {unknownToken, startToken, symbols} = this.data, given = this.given();
    if (given.length) return given;
    if (startToken !== null) return [startToken];
    const known = symbols.map((_, token) => token).filter(token => token !== unknownToken);
    return [known[Math.floor(Math.random() * known.length)]];
  }

  async write() {
    const turn = ++this.turn, {data} = this, begin = this.begin(), tokens = [...begin];
    const temperature = Number(byId("temperature").value), end = Math.min(data.mostSteps, begin.length + Math.min(5000, Math.max(1, Number(byId("amount").value) || 1)));
    const reading = new Reading(this.network);
    byId("written").dataset.done = "no";
    while (tokens.length < end && turn === this.turn) {
      for (const until = performance.now() + CHUNK; tokens.length < end && performance.now() < until;) {
        const {logits} = reading.read(tokens).at(-1);
        if (!logits.every(Number.isFinite)) return this.show(begin, tokens, "The outputs are not finite: the network cannot go on.");
        tokens.push(nextSymbol(data, logits, temperature));
      }
      this.show(begin, tokens);
      await frame();
    }
    if (turn !== this.turn) return;
    byId("written").dataset.done = "yes";
    say(`It wrote: ${written(data, tokens.slice(begin.length))}`);
  }

  show(begin, tokens, problem = "") {
    const {data} = this;
    byId("written").replaceChildren(make("span", {class: "soft"}, written(data, begin)), data.separator, written(data, tokens.slice(begin.length)), problem);
  }
}
