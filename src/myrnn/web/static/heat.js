// States as colours: blue above zero, orange below, the background at zero.
import {channels, color} from "./theme.js";

// Draw states, T columns of D units, on a canvas of columns `cell` wide; `marked` = {step, unit} is framed.
export function drawHeat(canvas, {states, steps, units, cell, height, scale, marked = null}) {
  const density = Math.min(devicePixelRatio || 1, 2), width = steps * cell;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(density, density);
  const zero = channels("heat-zero"), above = channels("heat-above"), below = channels("heat-below");
  const row = height / units, gap = cell > 12 ? 2 : cell > 3 ? 1 : 0;
  for (let step = 0; step < steps; step++) {
    for (let unit = 0; unit < units; unit++) {
      const value = states[step * units + unit] / scale, share = Math.min(1, Math.abs(value)), end = value > 0 ? above : below;
      context.fillStyle = `rgb(${zero.map((c, i) => Math.round(c + (end[i] - c) * share)).join(",")})`;
      context.fillRect(step * cell + gap / 2, unit * row, cell - gap, row > 5 ? row - 1 : row + 0.5);
    }
  }
  if (marked) {
    context.strokeStyle = color("ink");
    context.lineWidth = 1;
    context.strokeRect(0.5, marked.unit * row - 0.5, width - 1, row + 0.5);
    context.lineWidth = 2;
    context.strokeRect(marked.step * cell + 1, marked.unit * row - 1, cell - 2, row + 1);
  }
}

export function largest(states) {
  let most = 1e-6;
  for (const value of states) most = Math.max(most, Math.abs(value));
  return most;
}
