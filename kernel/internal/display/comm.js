// Connects this page to the kernel, for the widgets of gonbui: globalThis.gonb_comm with send, subscribe, unsubscribe,
// close and newSyncedVariable. Values travel as Jupyter comm messages over a WebSocket of their own.
(() => {
  const kernel = "{{KERNEL}}";
  globalThis.gonb_comm?.close();

  const page = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
  const base = new URL(page.wsUrl || page.baseUrl || "/", document.location.href);
  const url = new URL(`api/kernels/${kernel}/channels`, base.href.endsWith("/") ? base : base + "/");
  url.protocol = url.protocol.replace("http", "ws");
  url.search = "";
  url.searchParams.set("session_id", crypto.randomUUID());
  if (page.token) url.searchParams.set("token", page.token);

  class Synced {
    constructor(comm, address, value) {
      this.comm = comm;
      this.address = address;
      this.listeners = new Map();
      comm.subscribe(address, (_, incoming) => this.accept(incoming));
      this.set(value);
    }
    accept(value) {
      if (value === this.value) return false;
      this.value = value;
      for (const call of [...this.listeners.values()]) call(value);
      return true;
    }
    set(value) { if (this.accept(value)) this.comm.send(this.address, value); }
    get() { return this.value; }
    subscribe(call) { const id = Symbol(this.address); this.listeners.set(id, call); return id; }
    unsubscribe(id) { this.listeners.delete(id); }
  }

  class Comm {
    constructor() {
      this.id = crypto.randomUUID();
      this.addresses = new Map(); // address to Map of id to callback
      this.synced = new Map();    // address to Synced
      this.waiting = [];          // messages until the kernel has answered; null afterwards
      this.socket = new WebSocket(url);
      this.socket.onopen = () => this.post("comm_open", {comm_id: this.id, target_name: "gonb_comm", data: {kernel_id: kernel}});
      this.socket.onmessage = (event) => { if (typeof event.data === "string") this.receive(JSON.parse(event.data)); };
      this.socket.onclose = () => { if (globalThis.gonb_comm === this) delete globalThis.gonb_comm; };
    }
    post(type, content) {
      const id = crypto.randomUUID();
      this.socket.send(JSON.stringify({
        header: {msg_id: id, msg_type: type, session: this.id, username: "page", version: "5.5", date: new Date().toISOString()},
        parent_header: {}, metadata: {}, content, buffers: [], channel: "shell",
      }));
    }
    send(address, value) {
      const data = {comm_id: this.id, data: {address, value}};
      if (this.waiting) this.waiting.push(data); else this.post("comm_msg", data);
    }
    receive(message) {
      if (message.header?.msg_type === "comm_close" && message.content?.comm_id === this.id) return this.close();
      if (message.header?.msg_type !== "comm_msg" || message.content?.comm_id !== this.id) return;
      const {address, value, read_request: asked} = message.content.data;
      if (address === "#comm_open_ack") {
        const waiting = this.waiting ?? [];
        this.waiting = null;
        for (const data of waiting) this.post("comm_msg", data);
      } else if (address === "#heartbeat/ping") {
        this.send("#heartbeat/pong", true);
      } else if (asked) {
        if (this.synced.has(address)) this.send(address, this.synced.get(address).get());
      } else {
        for (const call of [...(this.addresses.get(address)?.values() ?? [])]) call(address, value);
      }
    }
    subscribe(address, call) {
      const id = Symbol(address);
      if (!this.addresses.has(address)) this.addresses.set(address, new Map());
      this.addresses.get(address).set(id, call);
      return id;
    }
    unsubscribe(id) { for (const calls of this.addresses.values()) calls.delete(id); }
    newSyncedVariable(address, value) {
      const known = this.synced.get(address);
      if (known) { known.set(value); return known; }
      const made = new Synced(this, address, value);
      this.synced.set(address, made);
      return made;
    }
    close() {
      if (globalThis.gonb_comm === this) delete globalThis.gonb_comm;
      this.socket.close(1000);
    }
  }
  globalThis.gonb_comm = new Comm();
})();
