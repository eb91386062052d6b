// The sequence as a text, to be typed or pasted, with whatever keyboard there is.
import {shown} from "./answers.js";
import {areWords, byId} from "./dom.js";
import {LONGEST} from "./known.js";

export class SequenceField {
  // `changed` is called with the new tokens.
  constructor(app, changed) {
    this.app = app;
    this.field = byId("sequence");
    this.changed = changed;
    this.tokens = [];
    this.field.addEventListener("input", () => this.read());
    this.field.addEventListener("blur", () => { this.show(this.tokens); this.tell(""); });
  }

  // What is being typed stays as it is.
  show(tokens) {
    this.tokens = tokens;
    this.field.inputMode = this.app.task.symbols.every(symbol => /^[0-9]$/.test(symbol)) ? "numeric" : "text";
    if (document.activeElement !== this.field) this.field.value = this.app.spell(tokens);
  }

  read() {
    const {symbols} = this.app.task, text = this.field.value;
    const places = (areWords(symbols) ? text.split(/\s+/) : [...text]).flatMap(part => placesOf(part, symbols));
    const tokens = places.filter(place => place >= 0);
    const told = [];
    if (tokens.length < places.length) told.push(`Only these symbols are read: ${symbols.map(shown).join(" ")}.`);
    if (tokens.length > LONGEST) told.push(`Only the first ${LONGEST} symbols are read.`);
    if (!tokens.length) told.push("Type at least one symbol.");
    this.tell(told.join(" "));
    if (tokens.length) this.changed(tokens.slice(0, LONGEST));
  }

  tell(text) {
    byId("sequence-told").textContent = text;
    byId("sequence-told").hidden = !text;
    this.field.setAttribute("aria-invalid", String(Boolean(text)));
  }
}

// The token of what was typed: none for what stands between symbols, -1 for anything that is not a symbol.
function placesOf(part, symbols) {
  const place = symbols.indexOf(part);
  if (place >= 0) return [place];
  // Also digits of other widths, as some keyboards write them.
  return /^[\s,;]*$/.test(part) ? [] : [symbols.indexOf(part.normalize("NFKC"))];
}
