// The worker's entry under Node.
import { parentPort } from "node:worker_threads";
import type { FromWorker, Port, ToLeader } from "./protocol.ts";
import { startWorker } from "./worker.ts";

const parent = parentPort!;
const port: Port<FromWorker, ToLeader> = {
  post: (message, transfer) => parent.postMessage(message, [...(transfer ?? [])]),
  onMessage: listener => parent.on("message", listener),
};
startWorker(port);
