// Runs, links, scripts and figures.
import {bytesOf, byId, make, saveFile, toast} from "./dom.js";

const KINDS = {svg: "image/svg+xml", png: "image/png"};

// Actions that a network may not support: their buttons and names.
const OFF = {
  play: {buttons: ["play"], called: "play"}, step: {buttons: ["step"], called: "single iterations"}, reset: {buttons: ["reset"], called: "reset"},
  draw: {buttons: ["draw-match", "draw-other", "draw-any"], called: "random sequences"}, save: {buttons: ["save"], called: "saving"},
  link: {buttons: ["copy-link"], called: "the link"}, script: {buttons: ["script"], called: "the script"},
};

export function startKeep(app) {
  const send = (type, fields) => app.connection.send(type, fields), tell = text => { byId("kept").textContent = text; };
  const busy = text => { tell(text); return true; };
  byId("save").addEventListener("click", () => send("save") && busy("Testing and saving …"));
  byId("load").addEventListener("click", () => byId("runs").value && app.settingsPanel.load(byId("runs").value) && busy("Loading …"));
  byId("script").addEventListener("click", () => send("script"));
  byId("download").addEventListener("click", () => send("figure", {figure: byId("figure").value, format: byId("format").value}) && busy("Drawing …"));
  // The graph is only available as SVG.
  const offerFormats = () => {
    const format = byId("format"), png = [...format.options].find(option => option.value === "png");
    png.disabled = byId("figure").value === "graph";
    if (png.disabled) format.value = "svg";
  };
  byId("figure").addEventListener("change", offerFormats);
  offerFormats();
  byId("copy-link").addEventListener("click", () => copy(location.href, tell));
  app.connection.on("welcome", () => send("runs"));
  app.connection.on("runs", ({runs}) => showRuns(runs));
  app.connection.on("saved", ({folder, command, runs}) => {
    showRuns(runs);
    tell(`Saved in ${folder}. Open it with: ${command}`);
  });
  app.connection.on("script", ({text}) => {
    saveFile("playground.py", text, "text/x-python");
    tell("The script is in your downloads. python playground.py trains the same network.");
  });
  app.connection.on("figure", ({figure, format, content}) => {
    saveFile(`${figure}.${format}`, format === "png" ? bytesOf(content) : content, KINDS[format]);
    tell(`${figure}.${format} is in your downloads.`);
  });
  app.connection.on("network", ({off, is_loaded: isLoaded}) => {
    for (const [name, {buttons}] of Object.entries(OFF)) {
      for (const button of buttons.map(byId)) {
        button.disabled = name in off;
        button.title = off[name] || button.dataset.hint;
      }
    }
    const goes = off.play ? "" : " Play continues from there, with a new optimizer and a constant learning rate.";
    if (isLoaded) tell(`Loaded.${goes}${[...new Set(Object.values(off))].map(why => tellOff(off, why)).join("")}`);
  });
  app.connection.on("error", ({message}) => { toast(message); tell(""); });
  // A request may never be answered.
  app.connection.on("lost", () => tell(""));
}

// The actions that are disabled for one reason.
const tellOff = (off, why) => ` Switched off: ${Object.keys(off).filter(name => off[name] === why).map(name => OFF[name].called).join(", ")}; ${why}.`;

function showRuns(runs) {
  const select = byId("runs"), none = make("option", {value: ""}, "no saved run yet");
  select.replaceChildren(...(runs.length ? runs.map(name => make("option", {value: name}, name)) : [none]));
  byId("load").disabled = !runs.length;
}

async function copy(text, tell) {
  try {
    await navigator.clipboard.writeText(text);
    tell("Copied. The link opens a playground with the same settings and sequence.");
  } catch {
    tell(`Copy it from here: ${text}`);
  }
}
