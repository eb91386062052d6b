// What the network computes while it reads a sequence, and what that means.

export const softmax = (logits, temperature = 1) => {
  const most = Math.max(...logits), parts = Array.from(logits, value => Math.exp((value - most) / temperature));
  const sum = parts.reduce((total, part) => total + part, 0);
  return parts.map(part => part / sum);
};
export const sigmoid = value => 1 / (1 + Math.exp(-value));

const copied = named => Object.fromEntries(Object.entries(named).map(([name, values]) => [name, Float32Array.from(values)]));
const isSame = (one, other) => one === other || (Array.isArray(one) && one.length === other.length && one.every((value, i) => value === other[i]));

// Reads sequences, and keeps what it computed for the next one that begins in the same way.
export class Reading {
  constructor(network) {
    this.network = network;
    this.forget();
  }

  forget() {
    this.inputs = [];
    this.rows = [];
    this.state = null;
  }

  // The outputs and the states after each step of a sequence of tokens or of rows of numbers.
  read(inputs) {
    const {network} = this;
    if (!network.info.forward && network.info.perStep) {
      return inputs.length ? network.run(inputs).map(logits => ({logits: Float32Array.from(logits), states: {}})) : [];
    }
    if (this.inputs.length > inputs.length || !this.inputs.every((input, i) => isSame(input, inputs[i]))) this.forget();
    for (let i = this.rows.length; i < inputs.length; i++) {
      this.rows.push(network.info.forward ? this.step(inputs[i]) : {logits: Float32Array.from(network.run(inputs.slice(0, i + 1))), states: {}});
      this.inputs.push(inputs[i]);
    }
    return this.rows.slice();
  }

  step(input) {
    const {network} = this;
    this.state = this.state || network.start();
    network.step(this.state, input);
    return {logits: Float32Array.from(network.logits(this.state)), states: copied(network.states(this.state))};
  }
}

// The index of a number of a distribution, by a random number in [0, 1).
export function drawn(shares, random) {
  let left = random;
  for (let i = 0; i < shares.length; i++) {
    left -= shares[i];
    if (left < 0) return i;
  }
  return shares.indexOf(Math.max(...shares));
}
