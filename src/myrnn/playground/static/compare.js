// The pinned network, for comparison with the one in training.
import {byId, count} from "./dom.js";

const CELLS = {
  "rnn-relu": "RNN (ReLU)", "rnn-tanh": "RNN (tanh)", gru: "GRU", lstm: "LSTM", mgu: "MGU", "stack-rnn": "RNN with a stack",
  own: "your class",
};
const OPTIMIZERS = {adam: "Adam", rmsprop: "RMSprop", sgd: "SGD"};

export function startCompare(app) {
  const button = byId("pin"), hint = button.dataset.hint;
  button.addEventListener("click", () => app.connection.send(app.pinned ? "unpin" : "pin"));
  app.connection.on("pinned", message => {
    app.setPinned(message.network ? message : null);
    button.textContent = app.pinned ? "Unpin" : "Pin & compare";
    button.dataset.hint = app.pinned ? "Remove the pinned network." : hint;
    button.title = button.dataset.hint;
    const told = byId("pinned-label");
    told.hidden = !app.pinned;
    if (app.pinned) told.textContent = `Pinned, in purple: ${describe(app.pinned)}. Change a setting and press play to compare.`;
  });
}

function describe({network, iteration}) {
  const {cell, dim_recurrent: units, task, optimizer, learning_rate: rate} = network.settings;
  const done = `${count(iteration)} ${iteration === 1 ? "iteration" : "iterations"}`;
  return `${CELLS[cell]}, ${units} units, ${task.replaceAll("-", " ")}, ${OPTIMIZERS[optimizer]} ${rate}, ${done}`;
}
