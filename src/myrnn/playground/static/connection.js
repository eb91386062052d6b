// The WebSocket: says hello, dispatches messages, and reconnects when the connection is lost.

const STORED = "myrnn-session";
const SERVER_ENDS = 1012;  // the code of a connection that ends with its server
const FIRST_WAIT = 300, LONGEST_WAIT = 5000;  // milliseconds

export class Connection {
  // `hello` returns the settings and the tokens to begin with; `refused` says whether there are others to try.
  constructor(hello, refused) {
    this.hello = hello;
    this.refused = refused;
    this.listeners = new Map();
    // Whether the server has answered before.
    this.met = false;
    this.page = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
    this.wait = FIRST_WAIT;
    this.ready = false;
    // Why the server closed the connection, until it answers again.
    this.farewell = "";
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
    socket.onopen = () => { this.farewell = ""; this.greet(); };
    socket.onmessage = event => this.receive(JSON.parse(event.data));
    socket.onclose = event => {
      this.ready = false;
      if (event.code === SERVER_ENDS) this.farewell = "The playground's server was stopped. This page continues when it runs again.";
      this.tell("lost", {reason: this.farewell});
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    };
  }

  greet() {
    this.write({type: "hello", session: sessionStorage.getItem(STORED), page: this.page, ...this.hello()});
  }

  receive(message) {
    if (message.type === "welcome") {
      message.anew = this.met && sessionStorage.getItem(STORED) !== message.session;
      this.met = true;
      sessionStorage.setItem(STORED, message.session);
      this.ready = true;
      this.wait = FIRST_WAIT;
    }
    const refused = message.fatal && !this.refused();
    if (refused || message.type === "full") {
      this.farewell = message.message;
      this.socket.close();
      return;
    }
    this.tell(message.type, message);
    if (message.fatal) this.greet();
  }

  // Send a message; return false if there is no connection.
  send(type, fields = {}) {
    if (this.ready) this.write({type, ...fields});
    return this.ready;
  }

  write(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
