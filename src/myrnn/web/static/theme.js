// Light or dark, by the system or the user's choice; and the style sheet's colours for drawings.
import {byId} from "./dom.js";

const STORED = "myrnn-theme";
const listeners = [];
let known = new Map();

export function onTheme(listener) {
  listeners.push(listener);
}

export function color(name) {
  if (!known.has(name)) known.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return known.get(name);
}

// A colour as [red, green, blue].
export function channels(name) {
  const value = color(name);
  return [1, 3, 5].map(at => parseInt(value.slice(at, at + 2), 16));
}

function changed() {
  known = new Map();
  listeners.forEach(listener => listener());
}

// A page in a frame of another site may be refused its storage.
function storage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

export function startTheme() {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const stored = storage()?.getItem(STORED);
  if (stored) root.dataset.theme = stored;
  system.addEventListener("change", changed);
  byId("theme").addEventListener("click", () => {
    const dark = (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    storage()?.setItem(STORED, root.dataset.theme);
    changed();
  });
}
