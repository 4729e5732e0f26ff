// Sluice as a participant: the same protocol as the peers', through the public API.
import { readFile } from "node:fs/promises";
import { open } from "../../compiler/index.ts";
import { namedWeights, WEIGHTS } from "./harness/network.ts";
import { type Prepared, readFloats, serve, type TaskRequest } from "./harness/serve.ts";

/** Steps in one run of a procedure: its start is shared by them, as in a real training. Those of a processor that acts as a GPU take seconds. */
const STEPS = 20;
const VULKAN_STEPS = 2;

async function prepare(request: TaskRequest): Promise<Prepared> {
  const { target, threads, fusion, folder, width, height } = request;
  const options = { target, threads, fusion };
  const steps = target.startsWith("vulkan") ? VULKAN_STEPS : STEPS;
  if (request.task === "matmul") {
    const program = await open(await import("./programs/matmul.ts"), options);
    const both = await readFloats(`${folder}/matrices.f32`);
    const half = both.length / 2;
    await program.state.set("a", both.slice(0, half));
    await program.state.set("b", both.slice(half));
    const run = () => program.call("multiply");
    return {
      description: program.description, run,
      output: async () => {
        await run();
        return (await program.state.get("c")).data as Float32Array;
      },
    };
  }
  if (request.task === "launches") {
    const { LAUNCHES, ...launches } = await import("./programs/launches.ts");
    const program = await open(launches, options);
    return {
      description: program.description, batch: STEPS * LAUNCHES,
      run: () => program.run("steps", { times: STEPS }),
      output: async () => {
        await program.call("step");
        return (await program.state.get("x")).data as Float32Array;
      },
    };
  }
  const program = await open(await import("./programs/noiser.ts"), options);
  const weights = namedWeights(await readFloats(`${folder}/weights.f32`));
  const setWeights = async () => {
    for (const [name, data] of weights) await program.state.set(name, data.slice());
  };
  await setWeights();
  if (request.task === "enhance") {
    const image = { shape: [height, width, 3], data: new Uint8Array(await readFile(`${folder}/image.u8`)) };
    const run = () => program.call("enhance", { image });
    return { description: program.description, run, output: async () => Float32Array.from((await run())["image"]!.data, v => v / 127.5 - 1) };
  }
  return {
    description: program.description, batch: steps,
    run: () => program.run("steps", { steps }),
    // Before any other step: the optimizer's moments are still zero.
    output: async () => {
      const noise = await readFloats(`${folder}/noise.f32`);
      const size = 104 * 104 * 3;
      const losses: number[] = [];
      for (let at = 0; at < noise.length; at += size) losses.push((await program.call("learnFrom", { x: { shape: [1, 104, 104, 3], data: noise.slice(at, at + size) } }))["loss"]!.item());
      const after = await Promise.all(WEIGHTS.map(w => program.state.get(w.name)));
      return Float32Array.from([...losses, ...after.flatMap(t => [...t.data])]);
    },
  };
}
await serve(prepare);
