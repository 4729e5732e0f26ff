// How much memory a photograph of twelve million pixels takes: the peak of the resident set while `enhance` runs, above what
// the process held before the photograph was there. Prints bytes as JSON.
import { readFileSync, writeFileSync } from "node:fs";
import { open } from "../../compiler/index.ts";
import { generator } from "./harness/network.ts";

const [width, height] = [4000, 3000];
const bytesOf = (field: "VmRSS" | "VmHWM"): number => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;

const program = await open(await import("./programs/noiser.ts"), { target: "wasm" });
await program.call("enhance", { image: { shape: [64, 64, 3], data: new Uint8Array(64 * 64 * 3).fill(40) } });
globalThis.gc?.();
const idle = bytesOf("VmRSS");
writeFileSync("/proc/self/clear_refs", "5");
const next = generator(4);
const data = new Uint8Array(width * height * 3);
for (let i = 0; i < data.length; i++) data[i] = 256 * next() ** 3;
const { image } = await program.call("enhance", { image: { shape: [height, width, 3], data } });
const mean = (image!.data as Uint8Array).reduce((sum, v) => sum + v, 0) / data.length;
process.stdout.write(`${JSON.stringify({ idle, peak: bytesOf("VmHWM"), pictures: 2 * data.length, mean: mean / 255 })}\n`);
await program.close();
