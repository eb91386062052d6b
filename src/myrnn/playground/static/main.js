// The page: the state that all parts share, and which parts are in view.
import {Accuracy} from "./accuracy.js";
import {Ages} from "./ages.js";
import {startCompare} from "./compare.js";
import {Connection} from "./connection.js";
import {Curves} from "./curves.js";
import {areWords, byId, toast} from "./dom.js";
import {Eigenvalues} from "./eigenvalues.js";
import {Gradient} from "./gradient.js";
import {startKeep} from "./keep.js";
import {DEFAULTS} from "./known.js";
import {settingsFromLink, tokensFromLink, writeLink} from "./link.js";
import {Mistakes} from "./mistakes.js";
import {startRecurrence} from "./recurrence.js";
import {Row} from "./row.js";
import {Settings, startFold, startHints} from "./settings.js";
import {startText} from "./text.js";
import {onTheme, startTheme} from "./theme.js";
import {Tour} from "./tour.js";
import {Transport} from "./transport.js";

const app = {
  settings: settingsFromLink(DEFAULTS),
  tokens: tokensFromLink() || [2, 7, 1, 8, 2, 7, 1, 8],
  // The names of symbols and classes, and the possible actions; sent with each network.
  task: {told: "", symbols: [..."0123456789"], classes: ["no match", "match"], families: [], each: "sequence", views: [], example: null},
  // Whether a sequence of a network's task is to be looked at: of the task with this name, or with true of the next.
  wantsExample: tokensFromLink() === null && settingsFromLink(DEFAULTS).task,
  pinned: null,
  pinnedListeners: [],
  onPinned(listener) { this.pinnedListeners.push(listener); },
  setPinned(pinned) { this.pinned = pinned; this.pinnedListeners.forEach(listener => listener()); },
  // A sequence as a text: words have spaces between them.
  spell(tokens) { return tokens.map(token => this.task.symbols[token]).join(areWords(this.task.symbols) ? " " : ""); },
  linked() { writeLink(this.settings, this.tokens, DEFAULTS); },
};

// The settings of an opened link. A reloaded page needs none: its network waits.
const isReloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
let linked = location.hash && !isReloaded ? app.settings : null;

// If the settings of a link are refused, the page begins with its own.
const refused = () => {
  linked = null;
  const others = JSON.stringify(app.settings) !== JSON.stringify(DEFAULTS);
  app.settings = {...DEFAULTS};
  return others;
};
// Runs before all other parts that show a network.
const describe = ({task}) => {
  app.task = task;
  document.querySelectorAll("[data-class]").forEach(node => { node.textContent = task.classes[node.dataset.class]; });
  document.querySelectorAll("[data-for]").forEach(node => { node.hidden = node.dataset.for !== task.each; });
  document.querySelectorAll("[data-view]").forEach(card => { card.hidden = !task.views.includes(card.dataset.view); });
};
app.connection = new Connection(() => ({settings: app.settings, tokens: app.tokens}), refused);
app.connection.on("network", describe);
startTheme();
app.settingsPanel = new Settings(app);
app.transport = new Transport(app);
app.row = new Row(app);
app.accuracy = new Accuracy(app);
app.gradient = new Gradient(app);
const panels = [new Curves(app), app.accuracy, app.gradient, new Eigenvalues(app)];
app.mistakes = new Mistakes(app);
app.ages = new Ages(app);
startCompare(app);
startRecurrence(app);
startText(app);
startKeep(app);
app.tour = new Tour(app);
startFold();
startHints();
onTheme(() => panels.forEach(panel => (panel.charts || [panel.chart]).forEach(chart => chart.update())));

// The server only updates views on the screen.
const inView = new Set();
let wanted = [];
const watch = () => app.connection.send("watch", {views: document.hidden ? [] : [...new Set([...inView, ...wanted])]});
const observer = new IntersectionObserver(entries => {
  entries.forEach(entry => inView[entry.isIntersecting ? "add" : "delete"](entry.target.dataset.view));
  watch();
}, {rootMargin: "200px"});
document.querySelectorAll("[data-view]").forEach(card => observer.observe(card));
document.addEventListener("visibilitychange", watch);

// Views that the tour waits for are updated even off the screen.
app.watch = views => { wanted = views; watch(); };
app.connection.on("welcome", message => {
  byId("version").textContent = `MyRNN ${message.version}`;
  document.body.classList.remove("lost");
  if (message.anew) toast("The earlier network is gone: its server was started again, or the page was away too long. This is a new one with the same settings.");
  watch();
});
app.connection.on("lost", ({reason}) => {
  document.body.classList.add("lost");
  app.transport.rest(reason || "The connection is lost. Trying again …");
});
const note = ({settings}) => { document.body.dataset.network = JSON.stringify(settings); };
app.connection.on("adjusted", note);
app.connection.on("network", message => {
  note(message);
  byId("banner").hidden = true;
  // The tab may have had another network before, which waits for its page.
  if (linked && Object.keys(DEFAULTS).some(name => linked[name] !== message.settings[name])) app.settingsPanel.apply(linked, true);
  linked = null;
});
// A link pasted over the page's own address: read all of it before the page updates the address.
window.addEventListener("hashchange", () => {
  const settings = settingsFromLink(DEFAULTS), tokens = tokensFromLink();
  app.settingsPanel.apply(settings);
  if (tokens) app.row.choose(tokens);
});
window.playground = app;
app.connection.open();
