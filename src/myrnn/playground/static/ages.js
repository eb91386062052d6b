// Shows the iteration that a card belongs to, and dims the card when the training has moved on.
import {count, make} from "./dom.js";

// A view counts as current for this many milliseconds: the server updates about once a second.
const FRESH = 2000;

export class Ages {
  constructor(app) {
    this.iteration = this.before = 0;
    this.cards = [...document.querySelectorAll("[data-view]")].map(card => {
      const told = make("span", {class: "age"});
      card.querySelector("header").append(told);
      const entry = {card, told, iteration: null, since: 0};
      app.connection.on(card.dataset.view, ({iteration}) => {
        Object.assign(entry, {iteration, since: performance.now()});
        this.update(entry);
      });
      return entry;
    });
    app.connection.on("network", () => this.cards.forEach(entry => { entry.iteration = null; this.update(entry); }));
    app.connection.on("status", ({iteration = this.iteration, before = this.before}) => {
      Object.assign(this, {iteration, before});
      this.cards.forEach(entry => this.update(entry));
    });
  }

  update({card, told, iteration, since}) {
    const known = iteration !== null;
    told.textContent = known ? `at iteration ${count(iteration + this.before)}` : "";
    card.classList.toggle("old", known && iteration !== this.iteration && performance.now() - since > FRESH);
  }
}
