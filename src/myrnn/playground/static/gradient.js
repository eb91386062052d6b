// The share of the gradient that is left, by steps before the end, on a log axis.
import {Chart, ticks} from "./chart.js";
import {byId, short} from "./dom.js";

const RAISED = {"-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹"};

// A share in per cent; very small and very large ones as a power of ten.
export function share(value) {
  if (value === 0 || (value >= 1e-6 && value < 1000)) return `${Number((100 * value).toPrecision(3)).toLocaleString("en-US", {maximumFractionDigits: 6})}%`;
  const [digit, power] = value.toExponential(0).split("e");
  return `${digit === "1" ? "" : `${digit}·`}10${[...power.replace("+", "")].map(sign => RAISED[sign]).join("")}`;
}

// Smaller shares are not distinguished.
const LEAST = 1e-8;

export class Gradient {
  constructor(app) {
    this.app = app;
    this.flow = null;
    this.chart = new Chart(byId("gradient"), chart => this.draw(chart));
    app.connection.on("gradient", message => { this.flow = message; this.tell(); this.chart.update(); });
    app.onPinned(() => { this.tell(); this.chart.update(); });
  }

  tell() {
    const flow = this.flow;
    if (!flow || flow.problem) {
      byId("gradient-told").textContent = flow ? flow.problem : "";
      return;
    }
    const pinned = this.app.pinned && this.app.pinned.gradient;
    byId("gradient-told").textContent = this.sentence("", flow) + (pinned ? ` ${this.sentence("In the pinned network ", pinned)}` : "");
  }

  sentence(whose, {mean, distance, state}) {
    const last = mean.at(-1), steps = distance.at(-1);
    if (!steps) return "";
    const where = `${state ? ` in state ${state},` : ""} ${steps} steps before the end`;
    if (last === null || last === undefined) return `${whose}nothing is left${where}.`;
    const verdict = last < 0.01 ? "it vanishes" : last > 10 ? "it explodes" : last > 0.3 ? "it gets through" : "it fades";
    return `${whose}${share(last)} is left${where}: ${verdict}.`;
  }

  draw(chart) {
    const flow = this.flow;
    if (!flow || !flow.mean) return;
    const pinned = this.app.pinned && this.app.pinned.gradient;
    const all = [...flow.low, ...flow.high, ...(pinned ? pinned.mean : [])].filter(value => value > 0);
    const low = Math.max(LEAST, Math.min(0.1, ...all)), high = Math.max(2, ...all);
    const decades = [];
    for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++) decades.push(power);
    const every = Math.ceil(decades.length / 6);
    const last = Math.max(1, flow.distance.length - 1, pinned ? pinned.distance.length - 1 : 0);
    chart.axes({
      x: [0, last], y: [low, high], log: true, xTicks: ticks(0, last, Math.max(3, chart.width / 70)).filter(Number.isInteger),
      yTicks: decades.filter(power => power % every === 0).map(power => 10 ** power),
      yText: share, xLabel: "steps before the end",
    });
    const inside = values => values.map(value => value > 0 ? Math.min(Math.max(value, low), high) : null);
    chart.band(flow.distance, inside(flow.low), inside(flow.high), "gradient");
    if (pinned) chart.line(pinned.distance, inside(pinned.mean), "pinned");
    chart.line(flow.distance, inside(flow.mean), "gradient");
    chart.svg.setAttribute("aria-label", `Gradient by steps before the end. ${byId("gradient-told").textContent}`);
  }
}
