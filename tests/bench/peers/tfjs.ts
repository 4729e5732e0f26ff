// tfjs with its WebAssembly backend as a participant. Under Node that backend has one thread; it has no gradient of the
// convolution's filter, so it cannot train.
import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { fileURLToPath } from "node:url";
import { namedWeights } from "../harness/network.ts";
import { installedVersion } from "../harness/peers.ts";
import { type Prepared, readFloats, serve, type TaskRequest } from "../harness/serve.ts";

async function prepare(request: TaskRequest): Promise<Prepared> {
  if (request.threads !== 1) throw new Error("tfjs-wasm has one thread under Node");
  setWasmPaths(fileURLToPath(new URL("node_modules/@tensorflow/tfjs-backend-wasm/dist/", import.meta.url)));
  await tf.setBackend("wasm");
  const description = `tfjs-wasm ${installedVersion("@tensorflow/tfjs-backend-wasm")}, 1 thread`;
  if (request.task === "enhance") {
    const { width, height } = request;
    const w = namedWeights(await readFloats(`${request.folder}/weights.f32`));
    const [first, bias, second, last] = [tf.tensor4d(w.get("net.in.weight")!, [3, 3, 3, 32]), tf.tensor1d(w.get("net.in.bias")!), tf.tensor4d(w.get("net.out.weight")!, [3, 3, 32, 3]), tf.tensor1d(w.get("net.out.bias")!)];
    const x = tf.tensor4d(Float32Array.from(await readFile(`${request.folder}/image.u8`), v => (v * 2) / 255 - 1), [1, height, width, 3]);
    const network = () => tf.tidy(() => {
      const a = tf.fused.conv2d({ x, filter: first, bias, strides: 1, pad: "same" });
      const mean = a.mean([1, 2], true);
      const centred = a.sub(mean);
      const normal = centred.mul(centred.square().mean([1, 2], true).add(1e-5).rsqrt());
      const active = normal.mul(normal.mul(Math.SQRT1_2).erf().add(1)).mul(0.5);
      return tf.fused.conv2d({ x: active as tf.Tensor4D, filter: second, bias: last, strides: 1, pad: "same" }).tanh();
    });
    const output = async (): Promise<Float32Array> => {
      const y = network();
      const data = (await y.data()) as Float32Array;
      y.dispose();
      return data;
    };
    return { description, run: async () => network().dispose(), output };
  }
  if (request.task === "matmul") {
    const n = request.size;
    const both = await readFloats(`${request.folder}/matrices.f32`);
    const [a, b] = [tf.tensor2d(both.slice(0, n * n), [n, n]), tf.tensor2d(both.slice(n * n), [n, n])];
    const run = async () => tf.matMul(a, b).dispose();
    return { description, run, output: async () => (await tf.matMul(a, b).data()) as Float32Array };
  }
  throw new Error("tfjs-wasm does not train a convolution");
}
await serve(prepare);
