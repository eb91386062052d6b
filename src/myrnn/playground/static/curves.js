// Loss and accuracy while the network learns.
import {Chart, ticks} from "./chart.js";
import {byId, make, percent, short} from "./dom.js";

// The number of points in a moving average.
const SMOOTH = 15;
const compact = new Intl.NumberFormat("en-US", {notation: "compact", maximumFractionDigits: 1});

// A moving average, because the accuracy of single sequences is only 0 or 1.
function smoothed(values) {
  let sum = 0;
  return values.map((value, i) => {
    sum += value - (i >= SMOOTH ? values[i - SMOOTH] : 0);
    return sum / Math.min(i + 1, SMOOTH);
  });
}

export class Curves {
  constructor(app) {
    this.app = app;
    this.width = 1;
    this.loss = [];
    this.accuracy = [];
    this.past = null;
    this.charts = [
      new Chart(byId("curve-loss"), chart => this.draw(chart, "loss")),
      new Chart(byId("curve-accuracy"), chart => this.draw(chart, "accuracy")),
    ];
    app.connection.on("network", message => {
      this.past = message.past || null;
      this.loss = [];
      this.accuracy = [];
      this.update();
    });
    app.connection.on("curve", message => this.take(message));
    app.connection.on("status", message => this.tellLast(message.last));
    app.onPinned(() => this.update());
  }

  // The sequence of the latest iteration, shown at rest and at low speed.
  tellLast(last) {
    if (!last) {
      byId("last").textContent = this.app.transport.playing || byId("play").disabled ? "" : "Press play, or do one iteration at a time.";
      return;
    }
    const text = this.app.spell(last.tokens);
    const look = make("button", {title: "Look at it, step by step.", onclick: () => this.app.row.choose(last.tokens)}, text);
    byId("last").replaceChildren("The last training sequence: ", look, `, loss ${short(last.loss)} before the step.`);
    byId("last").dataset.loss = last.loss;
  }

  take({first, width, loss, accuracy}) {
    this.width = width;
    this.loss.length = this.accuracy.length = Math.min(first, this.loss.length);
    this.loss.push(...loss);
    this.accuracy.push(...accuracy);
    this.update();
  }

  update() {
    this.charts.forEach(chart => chart.update());
  }

  // [x, y] of a curve with what came before it.
  points(curve, past, name) {
    const before = past ? past.iteration.at(-1) : 0;
    const values = smoothed(curve[name]);
    const xs = values.map((_, i) => before + (i + 1) * curve.width);
    return past ? [[...past.iteration, ...xs], [...past[name], ...values]] : [xs, values];
  }

  draw(chart, name) {
    const pinned = this.app.pinned;
    const [xs, ys] = this.points(this, this.past, name);
    const other = pinned ? this.points(pinned.curve, pinned.network.past, name) : [[], []];
    const last = Math.max(20, xs.at(-1) || 0, other[0].at(-1) || 0);
    const isLoss = name === "loss";
    const classes = this.app.task.classes.length, guessing = Math.log(classes);
    const high = isLoss ? Math.max(1.08 * guessing, ...ys, ...other[1]) : 1;
    const y = isLoss ? [0, Math.min(high * 1.04, Math.max(3, 1.3 * guessing))] : [classes > 2 ? 0 : 0.3, 1.02];
    chart.axes({
      x: [0, last], y, xTicks: ticks(0, last, Math.max(2, chart.width / 110)), yTicks: isLoss ? ticks(0, y[1], 4) : [0.2, 0.4, 0.6, 0.8, 1].filter(tick => tick > y[0]),
      xText: value => compact.format(value), yText: isLoss ? short : value => percent(value),
      xLabel: "iterations", named: true, headed: true,
    });
    const clipped = values => values.map(value => Math.min(Math.max(value, y[0]), y[1]));
    chart.level(isLoss ? guessing : 1 / classes, "guessing");
    chart.line(other[0], clipped(other[1]), "pinned");
    chart.line(xs, clipped(ys), isLoss ? "loss" : "accuracy");
    const now = ys.at(-1);
    const told = now === undefined ? "nothing yet" : isLoss ? now.toFixed(3) : percent(now, 1);
    chart.headline(name, told, name);
    chart.svg.setAttribute("aria-label", `${name}: ${told}`);
  }
}
