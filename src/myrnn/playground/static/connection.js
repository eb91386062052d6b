// The WebSocket: says hello, hands messages on, and comes back when the connection is lost.

const STORED = "myrnn-session";
const FIRST_WAIT = 300, LONGEST_WAIT = 5000;  // milliseconds

export class Connection {
  // `hello` returns the settings and the tokens to begin with; `refused` says whether there are others to try.
  constructor(hello, refused) {
    this.hello = hello;
    this.refused = refused;
    this.listeners = new Map();
    this.page = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
    this.wait = FIRST_WAIT;
    this.ready = false;
    this.ended = false;
  }

  on(type, listener) {
    if (!this.listeners.has(type)) this.listeners.set(type, []);
    this.listeners.get(type).push(listener);
  }

  tell(type, message) {
    (this.listeners.get(type) || []).forEach(listener => listener(message));
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.socket = new WebSocket(`${scheme}://${location.host}/session`);
    socket.onopen = () => this.greet();
    socket.onmessage = event => this.receive(JSON.parse(event.data));
    socket.onclose = () => {
      this.ready = false;
      if (this.ended) return;
      this.tell("lost");
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    };
  }

  greet() {
    this.write({type: "hello", session: sessionStorage.getItem(STORED), page: this.page, ...this.hello()});
  }

  receive(message) {
    if (message.type === "welcome") {
      sessionStorage.setItem(STORED, message.session);
      this.ready = true;
      this.wait = FIRST_WAIT;
    }
    this.tell(message.type, message);
    if (!message.fatal) return;
    if (this.refused()) {
      this.greet();
      return;
    }
    this.ended = true;
    this.tell("ended", message);
    this.socket.close();
  }

  // Send a message; what is sent while there is no connection is lost, and said so.
  send(type, fields = {}) {
    if (this.ready) this.write({type, ...fields});
    return this.ready;
  }

  write(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
