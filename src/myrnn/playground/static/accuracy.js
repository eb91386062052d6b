// Accuracy by length, with shortcuts as lines.
import {Chart} from "./chart.js";
import {byId, escaped, percent} from "./dom.js";
import {drawLengths} from "./lengths.js";

// The shortcuts in plain words.
const NAMES = {
  "length alone": "knows only the length", "first, last": "sees only the first and the last symbol", "counts": "counts how often each symbol occurs",
  "even counts": "checks whether these counts are even", "one place": "sees only one symbol",
  "pairs": "counts how often each two symbols follow each other",
};
const LINES = ["cut cut0", "cut cut1", "cut cut2", "cut cut3", "cut cut4", "cut cut5"];

// The mean accuracy over the trained lengths, and over the others; null if there are none.
export function meanAccuracy({lengths, accuracy, trained}) {
  const mean = values => values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  return {trained: mean(accuracy.filter((_, i) => lengths[i] <= trained)), beyond: mean(accuracy.filter((_, i) => lengths[i] > trained))};
}

export class Accuracy {
  constructor(app) {
    this.app = app;
    this.report = null;
    this.levels = null;
    this.chart = new Chart(byId("accuracy"), chart => this.draw(chart));
    app.connection.on("accuracy", message => { this.report = message; this.tellMeans(); this.chart.update(); });
    app.connection.on("network", () => { this.levels = null; this.ask(); });
    app.connection.on("shortcuts", message => { this.levels = message; this.tell(); this.chart.update(); });
    app.onPinned(() => this.chart.update());
    byId("shortcuts").addEventListener("change", () => { this.ask(); this.tell(); this.chart.update(); });
  }

  ask() {
    if (byId("shortcuts").checked && !this.levels) this.app.connection.send("shortcuts");
  }

  tell() {
    const shown = byId("shortcuts").checked && this.levels;
    byId("shortcuts-told").innerHTML = shown
      ? this.levels.names.map((name, i) => `<span class="chip ${LINES[i]}"><i></i>${escaped(NAMES[name] || name)}</span>`).join(" ") : "";
  }

  tellMeans() {
    if (this.report.problem) {
      byId("accuracy-told").textContent = this.report.problem;
      delete byId("accuracy-told").dataset.trained;
      return;
    }
    const {trained, beyond} = meanAccuracy(this.report);
    const {whole} = this.report, of = whole === null ? "right" : "of the answers right";
    const told = [trained === null ? "" : `${percent(trained, 1)} ${of} on trained lengths`, beyond === null ? "" : `${percent(beyond, 1)} on longer ones`];
    if (whole !== null) told.push(`${percent(whole, 1)} of all sequences right as a whole`);
    byId("accuracy-told").textContent = `${told.filter(Boolean).join(", ")}.`;
    byId("accuracy-told").dataset.trained = trained;
  }

  draw(chart) {
    const report = this.report;
    if (!report || report.problem) {
      chart.svg.setAttribute("aria-label", "Accuracy by length");
      return;
    }
    const half = drawLengths(chart, report, report.whole === null ? "" : "answers ");
    if (byId("shortcuts").checked && this.levels) {
      this.levels.accuracy.forEach((values, i) => chart.line(this.levels.lengths, values, LINES[i]));
    }
    this.drawPinned(chart, half);
  }

  drawPinned(chart, half) {
    const pinned = this.app.pinned && this.app.pinned.accuracy;
    if (!pinned) return;
    pinned.lengths.forEach((length, i) => {
      const middle = chart.x(length), y = chart.y(pinned.accuracy[i]).toFixed(1);
      if (middle < chart.box.right) chart.path(`M${(middle - half).toFixed(1)} ${y}h${(2 * half).toFixed(1)}`, "pinned-mark");
    });
  }
}
