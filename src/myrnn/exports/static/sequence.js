// The field, the buttons and the examples with which a person gives a sequence of symbols, or of rows of numbers.
import {byId, make} from "./dom.js";
import {rowsOf, standardized, tokensOf, typedText, visible} from "./given.js";

// More symbols have smaller buttons, have them folded away, or have none.
const MANY = 14, FOLDED = 40, MOST_BUTTONS = 400;
// The steps of a sequence that is not an example.
const FIRST = 6;

export class SequenceInput {
  // `changed` is called with the inputs of the network, the names of the steps, and the example that they are, or null.
  constructor(data, changed) {
    Object.assign(this, {data, changed, field: byId("sequence")});
    byId("card-symbols").hidden = false;
    this.field.addEventListener("input", () => this.read());
    byId("clear").addEventListener("click", () => this.set(""));
    byId("back").addEventListener("click", () => this.takeBack());
    if (data.read === "symbols") this.startSymbols();
    else this.startRows();
    this.examples = data.examples.map(example => ({...example, text: this.textOf(example.x)}));
    this.showExamples();
  }

  startSymbols() {
    const {symbols, typed, unknownToken, startToken} = this.data, known = symbols.map((_, token) => token).filter(token => token !== unknownToken && token !== startToken);
    byId("symbols-told").textContent = known.length > FOLDED ? "Type it. The answer changes with each symbol." : "Type it, or press the symbols. The answer changes with each.";
    this.field.inputMode = known.every(token => /^[0-9]$/.test(symbols[token])) ? "numeric" : "text";
    byId("symbols").hidden = known.length > MOST_BUTTONS;
    if (known.length > MOST_BUTTONS) return;
    byId("symbols").classList.toggle("many", known.length > MANY);
    if (known.length > FOLDED) {
      byId("symbols-fold").hidden = false;
      byId("symbols-fold").querySelector("summary").textContent = `Its ${known.length} symbols`;
      byId("symbols-fold").append(byId("symbols"));
    }
    byId("symbols").replaceChildren(...known.map(token => make("button", {type: "button", onclick: () => this.append(token)}, visible(typed[token]))));
  }

  startRows() {
    const {columns, mean} = this.data.inputs, names = columns ? `: ${columns.join(", ")}` : "";
    byId("symbols-told").textContent = mean.length === 1 ? `Type a number for each step${names}.` : `Type a line for each step, with ${mean.length} numbers${names}.`;
    byId("field-label").textContent = mean.length === 1 ? "Numbers" : "Steps, one per line";
    this.field.rows = 6;
    byId("symbols").hidden = true;
  }

  textOf(x) {
    return this.data.read === "symbols" ? typedText(this.data, x.filter(token => token !== this.data.startToken)) : x.map(row => row.join(" ")).join("\n");
  }

  showExamples() {
    byId("examples").hidden = !this.examples.length;
    byId("example-list").replaceChildren(...this.examples.map((example, i) => {
      const text = example.text.length > 36 ? `${example.text.slice(0, 35)}…` : example.text, name = this.data.read === "symbols" ? [...text].map(visible).join("").replaceAll("␣", " ") : `sequence ${i + 1}`;
      return make("button", {type: "button", class: "plain", onclick: () => this.set(example.text), "aria-pressed": "false"}, name || "(empty)");
    }));
  }

  // What is there at first: an example, or `own`, or a few symbols or rows, so that there is something to see.
  begin(own) {
    const {data} = this;
    if (this.examples.length) return this.set(this.examples[0].text);
    if (own) return this.set(typedText(data, own).trimStart());
    if (data.read === "rows") {
      const {mean, scale} = data.inputs, rows = Array.from({length: FIRST}, (_, t) => mean.map((value, i) => Number((value + scale[i] * Math.sin(2 * t + i)).toPrecision(3))));
      return this.set(this.textOf(rows));
    }
    const known = data.typed.filter((_, token) => token !== data.unknownToken && token !== data.startToken), plain = known.filter(name => /^[\p{L}\p{N}]+$/u.test(name));
    const some = plain.length ? plain : known;
    return this.set(Array.from({length: FIRST}, (_, i) => some[(i * 7 + 3) % some.length]).join(data.separator));
  }

  set(text) {
    this.field.value = text;
    this.read();
  }

  append(token) {
    const {separator, typed} = this.data, text = this.field.value;
    this.set(text + (text && !/\s$/.test(text) ? separator : "") + typed[token]);
  }

  takeBack() {
    const {data} = this, text = this.field.value;
    if (data.read !== "symbols") return this.set(text.trimEnd().split("\n").slice(0, -1).join("\n"));
    return this.set(data.separator === "" ? [...text].slice(0, -1).join("") : text.trimEnd().split(/\s+/).slice(0, -1).join(data.separator));
  }

  read() {
    const {data} = this, text = this.field.value;
    let inputs, names, problem;
    if (data.read === "symbols") {
      ({inputs, problem} = tokensOf(data, text));
      names = inputs.map(token => visible(data.symbols[token]));
    } else {
      const {rows, problem: wrong} = rowsOf(data, text);
      [inputs, names, problem] = [standardized(data.inputs, rows), rows.map(row => row.join(" ")), wrong];
    }
    byId("sequence-told").textContent = problem;
    byId("sequence-told").hidden = !problem;
    this.field.setAttribute("aria-invalid", String(Boolean(problem)));
    byId("back").disabled = byId("clear").disabled = !text;
    const example = this.examples.find(one => one.text === text) || null;
    [...byId("example-list").children].forEach((button, i) => button.setAttribute("aria-pressed", String(this.examples[i] === example)));
    this.inputs = inputs;
    this.changed(inputs, names, example);
  }
}
