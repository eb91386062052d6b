// The equations of the network and the graph of its step, once a network.
import {byId, showLines} from "./dom.js";

export function startRecurrence(app) {
  let shown = "";
  app.connection.on("network", ({settings}) => {
    const kind = JSON.stringify([settings.cell, settings.dim_recurrent, settings.alphabet_size]);
    if (kind !== shown) app.connection.send("recurrence");
    shown = kind;
  });
  app.connection.on("recurrence", ({equations, svg}) => {
    showLines(byId("equations"), equations);
    byId("graph").hidden = !svg;
    if (!svg) return;
    // The library's own picture; scripts would not run: the page's policy allows none but its own files.
    const picture = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    byId("graph").replaceChildren(document.importNode(picture, true));
  });
}
