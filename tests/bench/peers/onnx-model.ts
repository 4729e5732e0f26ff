// The benchmarks' network and matrix product as ONNX models, for every runtime that reads them, and a participant over one.
import { readFile } from "node:fs/promises";
import onnxProto, { type onnx } from "onnx-proto";
import { count, namedWeights, outerChannels, transposed, WEIGHTS, weightCount } from "../harness/network.ts";
import { type Prepared, readFloats, type TaskRequest } from "../harness/serve.ts";

const FLOAT = 1;
const tensor = (name: string, dims: readonly number[], data: Float32Array): onnx.ITensorProto => ({ name, dims: [...dims], dataType: FLOAT, rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
const value = (name: string, dims: readonly number[]): onnx.IValueInfoProto => ({ name, type: { tensorType: { elemType: FLOAT, shape: { dim: dims.map(dimValue => ({ dimValue })) } } } });
const node = (opType: string, input: string[], output: string[], attribute: onnx.IAttributeProto[] = []): onnx.INodeProto => ({ opType, name: output[0], input, output, attribute });
const INTS = onnxProto.onnx.AttributeProto.AttributeType.INTS;
const window = (): onnx.IAttributeProto[] => [{ name: "kernel_shape", type: INTS, ints: [3, 3] }, { name: "pads", type: INTS, ints: [1, 1, 1, 1] }];

const modelBytes = (nodes: onnx.INodeProto[], initializer: onnx.ITensorProto[], input: onnx.IValueInfoProto[], output: onnx.IValueInfoProto[]): Uint8Array =>
  onnxProto.onnx.ModelProto.encode({ irVersion: 9, producerName: "sluice benchmarks", opsetImport: [{ domain: "", version: 20 }], graph: { name: "graph", node: nodes, initializer, input, output } }).finish();

function networkModel(flat: Float32Array, width: number, height: number): Uint8Array {
  const w = namedWeights(flat);
  const filter = (name: "net.in.weight" | "net.out.weight"): onnx.ITensorProto => {
    const shape = WEIGHTS.find(x => x.name === name)!.shape as unknown as [number, number, number, number];
    return tensor(name, [shape[3], shape[2], shape[0], shape[1]], outerChannels(w.get(name)!, shape));
  };
  const initializers = [
    filter("net.in.weight"), tensor("net.in.bias", [32], w.get("net.in.bias")!), filter("net.out.weight"), tensor("net.out.bias", [3], w.get("net.out.bias")!),
    tensor("ones", [32], new Float32Array(32).fill(1)), tensor("zeros", [32], new Float32Array(32)),
  ];
  const nodes = [
    node("Conv", ["x", "net.in.weight", "net.in.bias"], ["first"], window()), node("InstanceNormalization", ["first", "ones", "zeros"], ["normal"]), node("Gelu", ["normal"], ["active"]),
    node("Conv", ["active", "net.out.weight", "net.out.bias"], ["second"], window()), node("Tanh", ["second"], ["y"]),
  ];
  return modelBytes(nodes, initializers, [value("x", [1, 3, height, width])], [value("y", [1, 3, height, width])]);
}

/** What the task needs of a runtime: the one output of a model, at one shape of f32 inputs. */
export type Session = (model: Uint8Array, inputs: { readonly [name: string]: { readonly data: Float32Array; readonly dims: readonly number[] } }, output: string) => Promise<() => Promise<Float32Array>>;

export async function prepareOnnx(request: TaskRequest, description: string, session: Session): Promise<Prepared> {
  if (request.task === "enhance") {
    const { width, height } = request;
    const weights = await readFloats(`${request.folder}/weights.f32`);
    if (weights.length !== weightCount) throw new Error("weights.f32 has another length");
    const image = await readFile(`${request.folder}/image.u8`);
    const x = { data: transposed(Float32Array.from(image, v => (v * 2) / 255 - 1), width * height, 3), dims: [1, 3, height, width] };
    const run = await session(networkModel(weights, width, height), { x }, "y");
    return { description, run, output: async () => transposed(await run(), 3, width * height) };
  }
  if (request.task === "matmul") {
    const n = request.size;
    const both = await readFloats(`${request.folder}/matrices.f32`);
    const half = count([n, n]);
    const model = modelBytes([node("MatMul", ["a", "b"], ["c"])], [], [value("a", [n, n]), value("b", [n, n])], [value("c", [n, n])]);
    const run = await session(model, { a: { data: both.slice(0, half), dims: [n, n] }, b: { data: both.slice(half), dims: [n, n] } }, "c");
    return { description, run, output: run };
  }
  throw new Error(`${description} does not train`);
}
