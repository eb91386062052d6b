// The page of one network: what a person gives, what the network says, and what is known of it.
import {Chart} from "./chart.js";
import {byId, say, showLines} from "./dom.js";
import {MOST_TYPED, typedForms} from "./given.js";
import {drawLengths} from "./lengths.js";
import {meaningOf, showBars, verdict} from "./meaning.js";
import {Reading} from "./reading.js";
import {SequenceInput} from "./sequence.js";
import {Series} from "./series.js";
import {Steps} from "./steps.js";
import {onTheme, startTheme} from "./theme.js";
import {Writing, ownText} from "./writing.js";

const data = JSON.parse(byId("data").textContent);
data.mostSteps = network.info.mostSteps ?? Infinity;
data.mostTyped = Math.min(MOST_TYPED, data.mostSteps);
if (data.symbols) data.typed = typedForms(data);
startTheme();
showLines(byId("equations"), data.equations);
byId("graph").hidden = !byId("graph").children.length;

if (data.lengths) {
  byId("card-lengths").hidden = false;
  const lengthsChart = new Chart(byId("lengths"), chart => drawLengths(chart, data.lengths));
  onTheme(() => lengthsChart.update());
}

const stateSizes = network.info.forward ? network.info.states : [];
if (data.series) new Series(data, network, stateSizes);
else {
  const reading = new Reading(network), steps = new Steps(data, stateSizes);
  byId("answer-title").textContent = data.predictsNextInput ? "What comes next?" : "The answer";
  const input = new SequenceInput(data, (inputs, names, example) => {
    const rows = reading.read(inputs), meaning = rows.length ? meaningOf(data, rows.at(-1).logits) : null;
    steps.show(names, rows);
    byId("verdict").replaceChildren(...verdict(data, meaning, example));
    byId("card-answer").dataset.logits = rows.length ? JSON.stringify([...rows.at(-1).logits]) : "";
    showBars(data, meaning || {shares: null});
    say(byId("verdict").textContent);
  });
  const writes = data.predictsNextInput && data.read === "symbols";
  if (writes) new Writing(data, network, () => input.inputs);
  input.begin(writes ? ownText(data, network) : null);
}
