// The pinned network, for comparison with the one in training.
import {byId, count} from "./dom.js";

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
    if (!app.pinned) return;
    const {network, iteration} = app.pinned, done = `${count(iteration)} ${iteration === 1 ? "iteration" : "iterations"}`;
    told.textContent = `Pinned, in purple: ${app.settingsPanel.summary(network.settings)}, ${done}. Change a setting and press play to compare.`;
  });
}
