// A series that is drawn by hand, or typed, and its continuation by the network.
import {Chart, ticks} from "./chart.js";
import {byId, make, rootSize, short} from "./dom.js";
import {rowsOf, standardized} from "./given.js";
import {drawHeat} from "./heat.js";
import {Reading} from "./reading.js";
import {StateChoice} from "./steps.js";
import {onTheme} from "./theme.js";

// The steps that can be drawn, and what is left above and below the numbers, as a share of their range.
const SLOTS = 100, LEFT_OVER = 0.12;
// The colours of columns.
const LINES = 5;

// A continuation is shown as an example if its range is between these, in deviations of the series.
const LIVELY = [0.5, 10];

const wave = ({mean, scale}) => Array.from({length: SLOTS}, (_, t) => mean.map((value, i) => Number((value + 1.2 * scale[i] * Math.sin(t / 3.2)).toPrecision(4))));

// The sum of the rows before step `t` that a difference is added to; 0 without differences. There is 0 before the first row.
const before = (earlier, rows, t) => rows[0].map((_, i) => earlier.reduce((sum, [lag, factor]) => sum + factor * (rows[t - lag]?.[i] ?? 0), 0));

// The series whose differences are a wave.
function summed(earlier, changes) {
  const rows = [changes[0]];
  for (let t = 1; t < changes.length; t++) rows.push(before(earlier, rows, t).map((value, i) => Number((value + changes[t][i]).toPrecision(5))));
  return rows;
}

// The next `horizon` rows, and the states after each row that was read; the first rows have no difference to read.
export function continued(data, network, known, horizon) {
  const {earlier, skipped} = data.series, {mean, scale} = data.outputs, rows = known.map(row => [...row]);
  if (rows.length <= skipped) return {ahead: [], states: []};
  const reading = new Reading(network), change = t => rows[t].map((value, i) => value - before(earlier, rows, t)[i]);
  const inputs = standardized(data.inputs, rows.slice(skipped).map((_, i) => change(i + skipped)));
  for (let step = 0; step < horizon && inputs.length <= data.mostSteps; step++) {
    const {logits} = reading.read(inputs).at(-1), base = before(earlier, rows, rows.length);
    rows.push(Array.from(logits, (value, i) => value * scale[i] + mean[i] + base[i]));
    inputs.push(standardized(data.inputs, [change(rows.length - 1)])[0]);
  }
  return {ahead: rows.slice(known.length), states: reading.rows.map(row => row.states)};
}

export class Series {
  constructor(data, network, states) {
    Object.assign(this, {data, network, rows: [], last: null, columns: data.inputs.mean.length});
    byId("card-series").hidden = false;
    byId("state-tools").before(byId("series-heat"));
    byId("series").after(byId("series-heat"), byId("state-tools"));
    byId("card-steps").hidden = byId("card-answer").hidden = true;
    this.choice = new StateChoice(states, () => this.drawStates());
    this.chart = new Chart(byId("series"), chart => this.draw(chart));
    onTheme(() => this.drawStates());
    byId("numbers").addEventListener("input", () => this.type());
    byId("horizon").addEventListener("input", () => this.changed(true));
    byId("series-clear").addEventListener("click", () => this.set([]));
    byId("series-example").addEventListener("click", () => this.set(this.example()));
    if (this.columns === 1) this.listen();
    else this.tellColumns(data.inputs.columns ?? data.inputs.mean.map((_, i) => `column ${i + 1}`));
    this.set(this.example());
  }

  // Several columns cannot be drawn at once: they are typed.
  tellColumns(names) {
    byId("card-series").classList.add("several");
    byId("series-title").textContent = "Continue a series";
    byId("series-told").textContent = `Type a line for each step, with ${names.length} numbers. The network continues them.`;
    byId("numbers-label").textContent = `Numbers, a line for each step: ${names.join(", ")}`;
    const key = (name, i) => make("span", {class: "nobreak"}, make("i", {class: `stroke line${i % LINES}`}), name);
    byId("series-legend").replaceChildren(...names.map(key), make("span", {class: "nobreak"}, make("i", {class: "stroke ahead"}), "what the network expects"));
  }

  // The end of a known series; otherwise a series whose differences are a wave. Without differences this is the
  // continuation of a wave, if that is a series like those that it has learned, or the wave.
  example() {
    const {series, inputs} = this.data;
    if (this.data.examples.length) return this.data.examples[0].x;
    if (series.skipped) return summed(series.earlier, wave(inputs));
    const {mean, scale} = inputs, {ahead} = continued(this.data, this.network, wave(inputs), 3 * SLOTS), own = ahead.slice(-SLOTS);
    const isLively = own.length && mean.every((_, i) => {
      const values = own.map(row => row[i]), range = (Math.max(...values) - Math.min(...values)) / scale[i];
      return range > LIVELY[0] && range < LIVELY[1];
    });
    return isLively ? own.map(row => row.map(value => Number(value.toPrecision(5)))) : wave(inputs);
  }

  set(rows) {
    this.rows = rows.map(row => [...row]);
    this.write();
    this.changed(true);
  }

  write() {
    byId("numbers").value = this.rows.map(row => row.map(value => Number(value.toPrecision(5))).join(" ")).join(this.columns === 1 ? " " : "\n");
    this.tell("");
  }

  type() {
    const {rows, problem} = rowsOf(this.data, byId("numbers").value);
    this.tell(problem);
    this.rows = rows;
    this.changed(true);
  }

  tell(problem) {
    byId("numbers-told").textContent = problem;
    byId("numbers-told").hidden = !problem;
    byId("numbers").setAttribute("aria-invalid", String(Boolean(problem)));
  }

  get horizon() {
    return Math.min(1000, Math.max(1, Math.round(Number(byId("horizon").value)) || 1));
  }

  // Compute the continuation; while somebody draws, the scale stays.
  changed(rescale) {
    Object.assign(this, continued(this.data, this.network, this.rows, this.horizon));
    if (rescale) this.range = this.rangeOf([...this.rows, ...this.ahead].flat().filter(Number.isFinite));
    const {skipped} = this.data.series, next = this.ahead.slice(0, 3).map(row => row.map(short).join(" ")).join(", then ");
    byId("series-said").textContent = !this.rows.length ? "Draw a series, or type numbers." : next ? `After ${this.rows.length} steps the network expects ${next}.` : `It needs at least ${skipped + 1} steps.`;
    byId("series").dataset.ahead = JSON.stringify(this.ahead);
    this.chart.update();
  }

  rangeOf(values) {
    if (!values.length) return this.range || this.data.inputs.mean.flatMap((mean, i) => [mean - 2.5 * this.data.inputs.scale[i], mean + 2.5 * this.data.inputs.scale[i]]).slice(0, 2);
    const low = Math.min(...values), high = Math.max(...values), spare = (high - low || Math.abs(high) || 1) * LEFT_OVER;
    return [low - spare, high + spare];
  }

  draw(chart) {
    const {rows, ahead} = this, slots = Math.max(SLOTS, rows.length), x = [-0.5, slots + this.horizon - 0.5];
    const [low, high] = this.range;
    chart.axes({x, y: this.range, xTicks: ticks(0, x[1], chart.width / 90).filter(Number.isInteger), yTicks: ticks(low, high, 5).filter(tick => tick >= low && tick <= high), yText: short, xLabel: "step"});
    for (let i = 0; i < this.columns; i++) {
      chart.line(rows.map((_, t) => t), rows.map(row => row[i]), `known line${i % LINES}`);
      const join = rows.length && ahead.length ? [rows.at(-1), ...ahead] : [];
      chart.line(join.map((_, t) => rows.length - 1 + t), join.map(row => row[i]), `ahead line${i % LINES}`);
    }
    if (rows.length === 1) rows[0].forEach(value => chart.circle(chart.x(0), chart.y(value), 4, "point"));
    if (ahead.length) chart.path(`M${chart.x(rows.length - 0.5).toFixed(1)} ${chart.box.top}V${chart.box.bottom}`, "now");
    chart.svg.setAttribute("aria-label", `A series of ${rows.length} steps and its continuation by ${ahead.length}`);
    this.drawStates();
  }

  drawStates() {
    const state = this.choice.chosen, canvas = byId("series-heat"), {chart, states} = this;
    canvas.hidden = byId("state-tools").hidden = !state || !states.length || !Object.keys(states[0]).length;
    if (canvas.hidden || !chart.box) return;
    const cell = chart.x(1) - chart.x(0), flat = states.flatMap(one => [...one[state.name]]);
    canvas.style.marginLeft = `${chart.x(this.data.series.skipped - 0.5)}px`;
    canvas.setAttribute("aria-label", `State ${state.name} after each of ${states.length} steps, one column per step`);
    const scale = this.choice.scaleOf(states.map(one => ({states: one})));
    drawHeat(canvas, {states: flat, steps: states.length, units: state.size, cell, height: rootSize() * Math.min(9, Math.max(3, 0.35 * state.size)), scale});
  }

  listen() {
    const svg = byId("series");
    svg.addEventListener("pointerdown", event => {
      svg.setPointerCapture(event.pointerId);
      this.last = null;
      this.drag(event);
    });
    svg.addEventListener("pointermove", event => { if (svg.hasPointerCapture(event.pointerId)) this.drag(event); });
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, () => { this.last = null; this.write(); this.changed(true); });
  }

  // Set the steps between the last place of the pointer and this one; what is missing to the left is a straight line.
  drag(event) {
    const {chart, rows} = this, box = byId("series").getBoundingClientRect(), slots = Math.max(SLOTS, rows.length);
    const across = (event.clientX - box.left - chart.x(0)) / (chart.x(1) - chart.x(0)), up = (chart.box.bottom - event.clientY + box.top) / (chart.box.bottom - chart.box.top);
    const step = Math.min(slots - 1, Math.max(0, Math.round(across))), value = this.range[0] + Math.min(1, Math.max(0, up)) * (this.range[1] - this.range[0]);
    const from = this.last || (step > rows.length && rows.length ? {step: rows.length - 1, value: rows.at(-1)[0]} : {step, value});
    const begin = rows.length ? from.step : 0, count = Math.abs(step - begin);
    for (let i = 0; i <= count; i++) {
      const at = begin + Math.sign(step - begin) * i;
      rows[at] = [count ? from.value + (value - from.value) * i / count : value];
    }
    this.last = {step, value};
    this.changed(false);
  }
}
