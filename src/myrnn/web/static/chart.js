// Small charts in SVG: axes, lines, bands, bars. A chart is drawn anew as a whole; with a few hundred points that takes
// well under a millisecond.
import {escaped, rootSize} from "./dom.js";

// In root font sizes: the margins, the right one of a chart with a named level, the upper one of a chart with a
// headline.
const LEFT = 2.9, RIGHT = 0.75, NAMED = 3.9, TOP = 0.65, HEADED = 1.5, BOTTOM = 2.1;

const fixed = number => number.toFixed(1);

// "Nice" steps for about `wanted` ticks between two numbers.
export function ticks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

export class Chart {
  // `draw` is called with the chart whenever the size, the theme or the data change.
  constructor(svg, draw) {
    this.svg = svg;
    this.draw = draw;
    this.scheduled = false;
    new ResizeObserver(() => this.update()).observe(svg);
  }

  update() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.width = this.svg.clientWidth;
      this.height = this.svg.clientHeight;
      this.em = rootSize();
      if (!this.width || !this.height) return;
      this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
      this.parts = [];
      this.draw(this);
      this.svg.innerHTML = this.parts.join("");
    });
  }

  // Axes from `x` = [low, high] and `y`; `log` makes the vertical one logarithmic, `named` leaves room for a level's name,
  // `headed` for a headline.
  axes({x, y, xTicks, yTicks, xText = String, yText = String, xLabel = "", log = false, named = false, headed = false}) {
    const em = this.em, left = LEFT * em, top = (headed ? HEADED : TOP) * em;
    const right = this.width - (named ? NAMED : RIGHT) * em, bottom = this.height - BOTTOM * em;
    const vertical = log ? Math.log10 : number => number;
    const [low, high] = [vertical(y[0]), vertical(y[1])];
    this.box = {left, right, top, bottom};
    this.x = value => left + (value - x[0]) / (x[1] - x[0]) * (right - left);
    this.y = value => bottom - (vertical(value) - low) / (high - low) * (bottom - top);
    for (const tick of yTicks) {
      this.parts.push(`<path class="grid-line" d="M${left} ${fixed(this.y(tick))}H${right}"/>`);
      this.text(left - 0.4 * em, this.y(tick) + 0.25 * em, yText(tick), "tick", "end");
    }
    for (const tick of xTicks) this.text(this.x(tick), bottom + 0.95 * em, xText(tick), "tick", "middle");
    this.parts.push(`<path class="axis" d="M${left} ${bottom}H${right}"/>`);
    this.text(right, this.height - 0.2 * em, xLabel, "label", "end");
  }

  // The name of the curve and its latest value, above the vertical axis.
  headline(name, value, className) {
    const place = `x="${fixed(this.box.left)}" y="${fixed(this.box.top - 0.6 * this.em)}"`;
    this.parts.push(`<text ${place} class="label">${escaped(name)} <tspan class="value ${className}">${escaped(value)}</tspan></text>`);
  }

  text(x, y, text, className, anchor = "start") {
    this.parts.push(`<text x="${fixed(x)}" y="${fixed(y)}" class="${className}" text-anchor="${anchor}">${escaped(text)}</text>`);
  }

  // A line through points; null is a gap.
  line(xs, ys, className) {
    let path = "", pen = false;
    for (let i = 0; i < xs.length; i++) {
      if (ys[i] === null || !Number.isFinite(ys[i])) { pen = false; continue; }
      path += `${pen ? "L" : "M"}${fixed(this.x(xs[i]))} ${fixed(this.y(ys[i]))}`;
      pen = true;
    }
    if (path) this.parts.push(`<path class="line ${className}" d="${path}"/>`);
  }

  band(xs, low, high, className) {
    const known = xs.map((x, i) => [x, low[i], high[i]]).filter(([, a, b]) => a !== null && b !== null);
    if (!known.length) return;
    const top = known.map(([x, , b]) => `${fixed(this.x(x))} ${fixed(this.y(b))}`);
    const back = known.reverse().map(([x, a]) => `${fixed(this.x(x))} ${fixed(this.y(a))}`);
    this.parts.push(`<path class="band ${className}" d="M${top.join("L")}L${back.join("L")}Z"/>`);
  }

  level(y, text) {
    this.parts.push(`<path class="level" d="M${this.box.left} ${fixed(this.y(y))}H${this.box.right}"/>`);
    if (text) this.text(this.box.right + 0.3 * this.em, this.y(y) + 0.25 * this.em, text, "label");
  }

  rect(x, y, width, height, className, title = "") {
    const told = title && `<title>${escaped(title)}</title>`;
    this.parts.push(`<rect x="${fixed(x)}" y="${fixed(y)}" width="${fixed(Math.max(width, 0.5))}" height="${fixed(Math.max(height, 0))}" class="${className}">${told}</rect>`);
  }

  path(d, className) {
    this.parts.push(`<path class="${className}" d="${d}"/>`);
  }

  circle(x, y, radius, className, title = "") {
    this.parts.push(`<circle cx="${fixed(x)}" cy="${fixed(y)}" r="${radius}" class="${className}">${title && `<title>${escaped(title)}</title>`}</circle>`);
  }
}
