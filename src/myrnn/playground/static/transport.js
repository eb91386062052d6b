// Play, pause, one iteration, reset, speed; and the state of the training.
import {byId, count, say} from "./dom.js";

// Iterations per second; 0 is as fast as possible.
const SPEEDS = [1, 3, 10, 30, 100, 1000, 10000, 50000, 0];
const DEFAULT_SPEED = 6;

export class Transport {
  constructor(app) {
    this.app = app;
    this.playing = false;
    // Iterations of this network, without those of a continued run.
    this.iteration = 0;
    this.seen = [];
    byId("play").addEventListener("click", () => app.connection.send(this.playing ? "pause" : "play"));
    byId("step").addEventListener("click", () => app.connection.send("step"));
    byId("reset").addEventListener("click", () => app.connection.send("reset"));
    const slider = byId("speed");
    slider.max = SPEEDS.length - 1;
    slider.value = DEFAULT_SPEED;
    slider.addEventListener("input", () => this.sendSpeed());
    this.tellSpeed();
    document.addEventListener("keydown", event => this.key(event));
    app.connection.on("status", message => this.show(message));
    app.connection.on("welcome", () => this.sendSpeed());
  }

  get speed() {
    return SPEEDS[byId("speed").value];
  }

  setSpeed(speed) {
    byId("speed").value = SPEEDS.indexOf(speed);
    this.sendSpeed();
  }

  sendSpeed() {
    this.tellSpeed();
    this.app.connection.send("speed", {speed: this.speed});
  }

  tellSpeed() {
    const told = this.speed ? `${count(this.speed)} a second` : "full";
    byId("speed-told").textContent = told;
    byId("speed").setAttribute("aria-valuetext", told);
  }

  key(event) {
    const busy = event.target.closest("input, select, textarea, button, summary, [contenteditable]");
    if (event.key === " " && !busy) {
      event.preventDefault();
      byId("play").click();
    }
  }

  // Without a connection the state of the training is unknown.
  rest(reason) {
    this.show({playing: false, busy: reason});
  }

  show(status) {
    if (status.playing !== this.playing) {
      this.playing = status.playing;
      document.body.classList.toggle("playing", this.playing);
      byId("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
      say(this.playing ? "training" : "paused");
      this.seen = [];
    }
    const banner = byId("banner");
    banner.hidden = !status.busy;
    banner.textContent = status.busy || "";
    if (status.iteration === undefined) return;
    this.iteration = status.iteration;
    const done = status.iteration + status.before;
    byId("iteration").textContent = count(done);
    byId("rate").textContent = this.rate(status.iteration);
    byId("engine").textContent = status.note ? `not compiled: ${status.note.split("\n")[0]}` : "compiled to machine code";
  }

  rate(iteration) {
    const now = performance.now();
    this.seen.push([now, iteration]);
    while (this.seen.length > 2 && now - this.seen[0][0] > 1500) this.seen.shift();
    const [then, before] = this.seen[0];
    if (!this.playing || now - then < 200) return iteration === 1 ? "iteration" : "iterations";
    return `iterations, ${count((iteration - before) / (now - then) * 1000)} a second`;
  }
}
