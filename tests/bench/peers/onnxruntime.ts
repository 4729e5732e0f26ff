// onnxruntime-web (WebAssembly) as a participant.
import * as ort from "onnxruntime-web";
import { installedVersion } from "../harness/peers.ts";
import { serve } from "../harness/serve.ts";
import { prepareOnnx } from "./onnx-model.ts";

await serve(request => {
  ort.env.wasm.numThreads = request.threads;
  const description = `onnxruntime-web ${installedVersion("onnxruntime-web")} (wasm), ${request.threads} thread${request.threads === 1 ? "" : "s"}`;
  return prepareOnnx(request, description, async (model, inputs, output) => {
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { data, dims }]) => [name, new ort.Tensor("float32", data, dims)]));
    return async () => (await session.run(feeds))[output]!.data as Float32Array;
  });
});
