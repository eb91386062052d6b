// Small helpers around the document.

export const byId = id => document.getElementById(id);

// Make an element: attributes by name, listeners as onclick and so on, children as nodes or texts.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const escaped = text => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);

// Show a text as lines; a line that is broken stands further in where it goes on.
export function showLines(node, text) {
  node.replaceChildren(...text.split("\n").map(line => {
    const told = line.trimStart(), part = make("span", {}, told);
    part.style.setProperty("--indent", `${line.length - told.length}ch`);
    return part;
  }));
}

const whole = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
export const count = number => whole.format(number);
export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;

// The root font size in pixels: all drawings scale with it.
export const rootSize = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

// Whether some symbols of a task have several letters.
export const areWords = symbols => symbols.some(symbol => [...symbol].length > 1);

// A number with three significant digits.
export function short(number) {
  const size = Math.abs(number);
  if (number === 0) return "0";
  if (size >= 1e5 || size < 1e-3) return number.toExponential(1).replace("e+", "e");
  return String(Number(number.toPrecision(3)));
}

// The bytes that a text holds as base64; numbers are little-endian float32.
export const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
export const unpacked = text => new Float32Array(bytesOf(text).buffer);

let hiding = 0;
export function toast(message) {
  const node = byId("toast");
  node.textContent = message;
  node.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { node.hidden = true; }, 6000);
}

// Announce a text to screen readers.
export function say(message) {
  byId("live").textContent = message;
}

export function saveFile(name, content, kind) {
  const address = URL.createObjectURL(new Blob([content], {type: kind}));
  const link = make("a", {href: address, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// A row of buttons of which one is pressed; returns a function that presses another.
export function tabs(place, choices, chosen, choose) {
  const buttons = choices.map(([value, label, hint]) =>
    make("button", {type: "button", "data-value": value, "data-hint": hint, onclick: () => { press(value); choose(value); }}, label));
  const press = value => buttons.forEach(b => b.setAttribute("aria-pressed", String(b.dataset.value === String(value))));
  place.replaceChildren(...buttons);
  press(chosen);
  return press;
}
