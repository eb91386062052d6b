// The continuation of the sequence by a network that predicts the next symbol.
import {byId, make} from "./dom.js";

const WAYS = [["likeliest", "always the likeliest"], ["drawn", "drawn by probability"]];

export function startText(app) {
  app.connection.on("text", message => {
    byId("text-told").textContent = message.problem || "";
    byId("text-told").dataset.iteration = message.iteration;
    if (message.problem) return;
    const row = ([name, told]) => [make("dt", {}, told), make("dd", {"data-way": name}, make("span", {class: "soft"}, app.spell(message.begin)), app.spell(message[name]))];
    byId("text").replaceChildren(...WAYS.flatMap(row));
  });
  app.connection.on("network", () => byId("text").replaceChildren());
}
