// The eigenvalues of a recurrent matrix and their initial positions, with the unit circle.
import {Chart} from "./chart.js";
import {byId, short, tabs} from "./dom.js";

// The number of possible positions for the circle's label.
const PLACES = 16;

export class Eigenvalues {
  constructor(app) {
    this.app = app;
    this.matrices = [];
    this.first = new Map();
    this.chosen = null;
    this.names = "";
    this.chart = new Chart(byId("eigenvalues"), chart => this.draw(chart));
    app.connection.on("network", ({eigenvalues}) => { this.first = new Map(eigenvalues.map(one => [one.name, one])); });
    app.connection.on("eigenvalues", message => this.take(message));
  }

  take({matrices = [], problem}) {
    this.matrices = matrices;
    const names = matrices.map(one => one.name);
    if (names.join() !== this.names) {
      this.names = names.join();
      this.chosen = names[0];
      const choose = name => { this.chosen = name; this.chart.update(); };
      tabs(byId("matrices"), names.map(name => [name, name.replace(".weight", ""), `The eigenvalues of ${name}.`]), this.chosen, choose);
      byId("matrices").hidden = names.length < 2;
    }
    this.problem = problem;
    this.chart.update();
  }

  draw(chart) {
    const now = this.matrices.find(one => one.name === this.chosen), then = this.first.get(this.chosen);
    if (this.problem) chart.text(6, 1.2 * chart.em, this.problem, "label");
    if (!now || !then) return;
    const sizes = one => one.real.map((real, i) => Math.hypot(real, one.imaginary[i]));
    const radius = Math.max(...sizes(now)), reach = 1.12 * Math.max(1.1, radius, ...sizes(then));
    const unit = Math.min(chart.width, chart.height) / 2 / reach;
    const x = real => chart.width / 2 + real * unit, y = imaginary => chart.height / 2 - imaginary * unit;
    chart.path(`M0 ${y(0)}H${chart.width}M${x(0)} 0V${chart.height}`, "grid-line");
    chart.circle(x(0), y(0), unit.toFixed(1), "unit-circle");
    const size = 0.2 * chart.em;
    then.real.forEach((real, i) => chart.circle(x(real), y(then.imaginary[i]), size, "eigen-then"));
    now.real.forEach((real, i) => chart.circle(x(real), y(now.imaginary[i]), 1.15 * size, "eigen-now", `${short(real)} ${now.imaginary[i] < 0 ? "−" : "+"} ${short(Math.abs(now.imaginary[i]))}i`));
    this.nameCircle(chart, [now, then], {x, y});
    chart.text(6, 0.9 * chart.em, `largest size: ${short(radius)}`, "value eigen");
    chart.text(6, chart.height - 6, "hollow: before training", "label");
    chart.svg.setAttribute("aria-label", `Eigenvalues of ${now.name}; the largest has size ${short(radius)}`);
  }

  // Put the circle's label where the nearest eigenvalue is furthest away.
  nameCircle(chart, matrices, {x, y}) {
    const points = matrices.flatMap(one => one.real.map((real, i) => [x(real), y(one.imaginary[i])]));
    const room = ([left, top]) => Math.min(...points.map(([a, b]) => Math.hypot(a - left, b - top)));
    const places = Array.from({length: PLACES}, (_, i) => {
      const angle = 2 * Math.PI * (i + 0.5) / PLACES, outside = 0.8 * chart.em;
      return [x(Math.cos(angle)) + outside * Math.cos(angle), y(Math.sin(angle)) - outside * Math.sin(angle)];
    });
    const [left, top] = places.reduce((best, place) => room(place) > room(best) ? place : best);
    chart.text(left, top + 0.25 * chart.em, "1", "tick", "middle");
  }
}
