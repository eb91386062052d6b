// The sequence as a text, to be typed or pasted, with whatever keyboard there is.
import {byId} from "./dom.js";
import {LONGEST} from "./known.js";

export class SequenceField {
  // `greatest` returns the largest digit that there is; `changed` is called with the new tokens.
  constructor(greatest, changed) {
    this.field = byId("sequence");
    this.greatest = greatest;
    this.changed = changed;
    this.tokens = [];
    this.field.addEventListener("input", () => this.read());
    this.field.addEventListener("blur", () => { this.show(this.tokens); this.tell(""); });
  }

  // What is being typed stays as it is.
  show(tokens) {
    this.tokens = tokens;
    if (document.activeElement !== this.field) this.field.value = tokens.join("");
  }

  read() {
    // Also digits of other widths, as some keyboards write them.
    const text = this.field.value.normalize("NFKC").replace(/[\s,;]/g, ""), most = this.greatest();
    const tokens = [...text].filter(sign => /[0-9]/.test(sign) && Number(sign) <= most).map(Number);
    const told = [];
    if (tokens.length < [...text].length) told.push(`Only the digits 0 to ${most} are read.`);
    if (tokens.length > LONGEST) told.push(`Only the first ${LONGEST} digits are read.`);
    if (!tokens.length) told.push("Type at least one digit.");
    this.tell(told.join(" "));
    if (tokens.length) this.changed(tokens.slice(0, LONGEST));
  }

  tell(text) {
    byId("sequence-told").textContent = text;
    byId("sequence-told").hidden = !text;
    this.field.setAttribute("aria-invalid", String(Boolean(text)));
  }
}
