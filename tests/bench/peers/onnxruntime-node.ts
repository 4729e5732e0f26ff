// onnxruntime-node (native code) as a participant.
import * as ort from "onnxruntime-node";
import { installedVersion } from "../harness/peers.ts";
import { serve } from "../harness/serve.ts";
import { prepareOnnx } from "./onnx-model.ts";

await serve(request => {
  const { threads } = request;
  const description = `onnxruntime-node ${installedVersion("onnxruntime-node")}, ${threads} thread${threads === 1 ? "" : "s"}`;
  return prepareOnnx(request, description, async (model, inputs, output) => {
    const session = await ort.InferenceSession.create(model, { executionProviders: ["cpu"], graphOptimizationLevel: "all", intraOpNumThreads: threads, interOpNumThreads: 1 });
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { data, dims }]) => [name, new ort.Tensor("float32", data, dims)]));
    return async () => (await session.run(feeds))[output]!.data as Float32Array;
  });
});
