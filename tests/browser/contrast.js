// Returns what does not stand out enough on the page: text below 4.5:1, borders of controls and parts of graphics below
// 3:1, each with its contrast as WCAG defines it.
const CONTROLS = "button:not(.told button), select, input:is([type=text], [type=number]), summary, .digit";
// Parts of graphics, and which property colours them.
const PARTS = [
  ["svg.chart :is(.line, .axis, .level, .interval, .unit-circle, .eigen-then, .band)", "stroke"],
  ["svg.chart :is(.bar, .eigen-now)", "fill"],
  [".probability i, .pull i, .key, .legends i:not(.scale), .chip i", "backgroundColor"],
  [".spark path:not(.grid-line)", "stroke"],
];

const style = node => getComputedStyle(node);

function parsed(text) {
  const numbers = text.match(/[\d.]+/g).map(Number);
  return {rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1};
}

const over = ({rgb, alpha}, under) => rgb.map((value, i) => value * alpha + under[i] * (1 - alpha));

// What a node stands on: the colours of the nodes around it, over each other.
function ground(node) {
  if (!node) return [255, 255, 255];
  const own = parsed(style(node).backgroundColor);
  return own.alpha === 1 ? own.rgb : over(own, ground(node.parentElement));
}

function luminance(rgb) {
  const linear = rgb.map(value => value / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function contrast(one, other) {
  const [lighter, darker] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (lighter + 0.05) / (darker + 0.05);
}

const isSeen = node => node.getClientRects().length && style(node).visibility === "visible" && !node.closest(":disabled, option, .graph");

const faint = [];
function check(kind, node, value, least) {
  if (value < least) faint.push(`${kind} of ${node.tagName} ${node.id || node.getAttribute("class")} “${node.textContent.slice(0, 20)}”: ${value.toFixed(2)}`);
}

for (const node of document.querySelectorAll("body *")) {
  if (!isSeen(node)) continue;
  const chart = node.closest("svg"), hasText = [...node.childNodes].some(child => child.nodeType === Node.TEXT_NODE && child.textContent.trim());
  if (hasText && node.tagName !== "title") {
    const colour = chart ? style(node).fill : style(node).color;
    check("text", node, contrast(parsed(colour).rgb, ground(chart ? chart.parentElement : node)), 4.5);
  }
  if (node.matches(CONTROLS) && parseFloat(style(node).borderTopWidth)) {
    check("border", node, contrast(parsed(style(node).borderTopColor).rgb, ground(node.parentElement)), 3);
  }
}
for (const [selector, property] of PARTS) {
  for (const node of document.querySelectorAll(selector)) {
    if (!isSeen(node)) continue;
    const chart = node.closest("svg"), under = ground(chart && !chart.matches(".spark") ? chart.parentElement : chart || node.parentElement);
    const colour = parsed(style(node)[property]), share = property === "stroke" ? Number(style(node).strokeOpacity) : 1;
    check(property, node, contrast(over({...colour, alpha: colour.alpha * share}, under), under), 3);
  }
}
return faint;
