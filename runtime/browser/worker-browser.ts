// The worker's entry in a browser.
import type { FromWorker, Port, ToLeader } from "../wasm/protocol.ts";
import { startWorker } from "../wasm/worker.ts";

const port: Port<FromWorker, ToLeader> = {
  post: (message, transfer) => postMessage(message, { transfer: [...(transfer ?? [])] }),
  onMessage: listener => addEventListener("message", event => listener(event.data as ToLeader)),
};
startWorker(port);
