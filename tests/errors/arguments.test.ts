// The bounds of a procedure's arguments: what lies outside of them is refused by name, before anything runs, whoever asks:
// `program.run` here, the command line of an executable in its own suite.
import { afterAll, beforeAll, expect, test } from "vitest";
import { procedureFlags } from "../../compiler/cli/values.ts";
import { compileProgram } from "../../compiler/compile.ts";
import { readContainer } from "../../compiler/container/read.ts";
import { writeContainer } from "../../compiler/container/write.ts";
import { effectsOver } from "../../runtime/io/effects.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { infoOfProgram, startInterpreter } from "../../runtime/interpret/backend.ts";
import { Program } from "../../runtime/load.ts";
import { entry, f32, full, int, log, procedure, real, traceProgram } from "sluice";

const traced = traceProgram({
  f: entry({}, () => ({ y: full(f32(1), 1) })),
  fit: procedure({ steps: int(5, "steps", { min: 1, max: 10 }), shift: int(0, "", { min: -3 }), share: real(0.5, "a part", { min: 0, max: 1 }), rate: real(1) }, ({ steps, shift, share, rate }) => log({ steps, shift, share, rate })),
}, "bounded");
let program: Program;
const rows: unknown[] = [];
beforeAll(() => {
  program = new Program(infoOfProgram(traced), startInterpreter({ program: traced, dims: {}, checkNan: false, perform: effectsOver(nodeFiles), print: () => undefined }), {});
});
afterAll(() => program.close());

const refused: readonly (readonly [given: { readonly [name: string]: number }, name: string, found: string, bounds: string])[] = [
  [{ steps: 0 }, "steps", "0", "1 … 10"],
  [{ steps: 11 }, "steps", "11", "1 … 10"],
  [{ shift: -4 }, "shift", "-4", "-3 … 2147483647"],
  [{ shift: 99999999999 }, "shift", "99999999999", "-3 … 2147483647"],
  [{ share: 1.5 }, "share", "1.5", "0 … 1"],
  [{ rate: -Infinity }, "rate", "-Infinity", "-3.4028234663852886e+38 … 3.4028234663852886e+38"],
  [{ rate: 1e39 }, "rate", "1e+39", "-3.4028234663852886e+38 … 3.4028234663852886e+38"],
];
test.each(refused)("%o is refused", async (given, name, found, bounds) => {
  await expect(program.run("fit", given)).rejects.toThrow(`error ARG004: argument \`${name}\` of \`fit\` is out of bounds\n  found:    ${found}\n  expected: ${bounds}`);
});

test("what lies within the bounds runs, both ends included", async () => {
  await program.run("fit", { steps: 10, shift: -3, share: 1, rate: -1e38 }, { onRow: row => void rows.push(row) });
  const values = [["steps", 10], ["shift", -3], ["share", 1], ["rate", -1e38]].map(([name, value]) => ({ name, value }));
  expect(rows).toEqual([{ kind: "log", inLoop: false, values }]);
});

test("the command line's flags are refused by the same bounds", async () => {
  const fit = traced.procedures[0]!;
  await expect(program.run("fit", procedureFlags(fit, ["--steps", "-5"]))).rejects.toThrow(/ARG004: argument `steps`/);
  await expect(program.run("fit", procedureFlags(fit, ["--shift", "99999999999"]))).rejects.toThrow(/ARG004: argument `shift`/);
});

test("a container carries the bounds", () => {
  const { procedures } = readContainer(writeContainer(compileProgram(traced, ["simd128"]), [])).program;
  expect(procedures[0]!.args.map(({ name, min, max }) => ({ name, min, max }))).toEqual([
    { name: "steps", min: 1, max: 10 }, { name: "shift", min: -3, max: 2 ** 31 - 1 }, { name: "share", min: 0, max: 1 }, { name: "rate", min: -3.4028234663852886e38, max: 3.4028234663852886e38 },
  ]);
});
