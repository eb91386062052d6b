// One unit of the hidden state: its value along the sequence and over the training, and the weights that lead into it.
import {shown} from "./answers.js";
import {byId, escaped, make, short} from "./dom.js";

// The number of snapshots of the training that are kept.
const REMEMBERED = 200;
// During training, the weights are requested again after this many milliseconds.
const PAUSE = 500;

export class Unit {
  constructor(app) {
    this.app = app;
    this.past = [];
    this.incoming = null;
    // The last request for weights: unit, state, iteration and time.
    this.asked = {};
    app.connection.on("unit", message => { this.incoming = message; app.row.draw(); });
    app.connection.on("network", () => { this.past = []; this.incoming = null; this.asked = {}; });
  }

  // Request the weights that lead into a unit, unless they are known or requested already.
  ask(unit, {state, iteration}) {
    const {asked} = this, now = performance.now();
    const isSame = asked.unit === unit && asked.state === state;
    if (isSame && (asked.iteration === iteration || this.app.transport.playing && now - asked.when < PAUSE)) return;
    this.asked = {unit, state, iteration, when: now};
    this.app.connection.send("unit", {unit});
  }

  // Keep the last step's states of every snapshot, for the history of any unit.
  remember({values, units, iteration}) {
    const last = this.past.at(-1);
    if (last && (last.states.length !== units || last.iteration > iteration)) this.past = [];
    if (last && last.iteration === iteration) this.past.pop();
    this.past.push({iteration, states: values.slice(-units)});
    if (this.past.length > REMEMBERED) this.past = this.past.filter((_, i) => i % 2 || i === this.past.length - 1);
  }

  draw(seen, marked) {
    const place = byId("unit");
    if (!marked) {
      if (!place.firstChild) place.append(make("p", {class: "soft"}, "Point at a unit in the colours above to see the weights that lead into it, and how its value changes. With the keyboard: move the focus to the colours, then use the arrow keys."));
      return;
    }
    this.ask(marked.unit, seen);
    const along = Array.from({length: seen.tokens.length}, (_, step) => seen.values[step * seen.units + marked.unit]);
    const over = this.past.map(({states}) => states[marked.unit]);
    const known = this.incoming && this.incoming.unit === marked.unit ? this.incoming.incoming : [];
    const figure = (told, drawn) => `<figure><figcaption>${escaped(told)}</figcaption>${drawn}</figure>`;
    place.innerHTML = `<div><h3>Unit ${marked.unit} of ${escaped(seen.state)}</h3>
      is <b>${short(along[marked.step])}</b> after step ${marked.step + 1}, symbol ${escaped(shown(this.app.task.symbols[seen.tokens[marked.step]]))}</div>
      <div class="figures">${figure("value along the sequence", spark(along, marked.step))}${figure("value at the end, during training", spark(over))}
      ${known.map(({name, weights}) => figure(`weights of ${name.replace(".weight", "")}, one bar per ${weights.length === seen.units ? "unit" : "input"}`, bars(weights))).join("")}</div>`;
  }
}

// A line without axes.
function spark(values, marked = null) {
  if (values.length < 2) return `<svg viewBox="0 0 200 36" class="spark"></svg>`;
  const low = Math.min(0, ...values), high = Math.max(1e-9, ...values), x = i => i / (values.length - 1) * 188 + 6;
  const y = value => 31 - (value - low) / (high - low) * 26;
  // A line of no length with round ends: a dot that stays round when the picture is stretched.
  const dot = marked === null ? "" : `<path class="dot" d="M${x(marked)} ${y(values[marked])}h0"/>`;
  return `<svg viewBox="0 0 200 36" class="spark" preserveAspectRatio="none"><path class="grid-line" d="M0 ${y(0)}H200"/><path d="M${values.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join("L")}"/>${dot}</svg>`;
}

function bars(weights) {
  const most = Math.max(...weights.map(Math.abs), 1e-9), width = 200 / weights.length;
  const one = (weight, i) => {
    const height = Math.abs(weight) / most * 18, top = weight > 0 ? 19 - height : 19;
    return `<rect x="${(i * width + width * 0.1).toFixed(1)}" y="${top.toFixed(1)}" width="${(width * 0.8).toFixed(1)}" height="${height.toFixed(1)}" class="${weight > 0 ? "yes" : "no"}"><title>${i}: ${short(weight)}</title></rect>`;
  };
  return `<svg viewBox="0 0 200 38" class="spark" preserveAspectRatio="none">${weights.map(one).join("")}</svg>`;
}
