// Accuracy by length: bars with intervals, in two colours for trained lengths and lengths beyond, and the base rate.
import {count, percent} from "./dom.js";

// Draw a report: its `lengths`, maybe with `names`; of each the `accuracy`, its interval from `low` to `high`, `total` and
// the `base_rate` if they are known; the longest `trained` one; the accuracy of guessing, `chance`, if it means something.
// `counted` says what is counted. Returns half the width of a bar.
export function drawLengths(chart, report, counted = "") {
  const {lengths, names = lengths.map(String), accuracy, low, high, total, trained, base_rate: baseRate, chance} = report;
  const step = lengths.length > 1 ? Math.min(...lengths.slice(1).map((length, i) => length - lengths[i])) : 2;
  const x = [lengths[0] - step, lengths.at(-1) + step * 0.8], isNamed = Boolean(baseRate) || Number.isFinite(chance);
  const wide = Math.max(...names.map(name => name.length)) > 4 ? 64 : 34, every = Math.ceil(lengths.length / Math.max(4, chart.width / wide));
  chart.axes({
    x, y: [0, 1.05], xTicks: lengths.filter((_, i) => i % every === 0), yTicks: [0, 0.25, 0.5, 0.75, 1],
    xText: length => names[lengths.indexOf(length)], yText: value => percent(value), xLabel: "length of the sequence", named: isNamed,
  });
  const half = (chart.x(lengths[0] + step) - chart.x(lengths[0])) * 0.36;
  lengths.forEach((length, i) => {
    const middle = chart.x(length), kind = length > trained ? "beyond" : "trained", tried = total ? `, ${count(total[i])} ${counted}tried` : "";
    const told = `length ${names[i]}: ${percent(accuracy[i], 1)} (95%: ${percent(low[i])} to ${percent(high[i])})${tried}`;
    chart.rect(middle - half, chart.y(accuracy[i]), 2 * half, chart.y(0) - chart.y(accuracy[i]), `bar ${kind}`, told);
    chart.path(`M${middle.toFixed(1)} ${chart.y(low[i]).toFixed(1)}V${chart.y(high[i]).toFixed(1)}`, "interval");
  });
  if (baseRate) {
    chart.line(lengths, baseRate, "level");
    chart.text(chart.box.right + 0.3 * chart.em, chart.y(baseRate[lengths.length - 1]) + 0.25 * chart.em, "base rate", "label");
  } else if (isNamed) chart.level(chance, "guessing");
  chart.svg.setAttribute("aria-label", `Accuracy by length: ${names.map((name, i) => `${name}: ${percent(accuracy[i])}`).join(", ")}`);
  return half;
}
