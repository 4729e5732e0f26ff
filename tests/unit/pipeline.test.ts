// The list of passes: what runs, in which order, what it says, and `sluice opt` over it.
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { importProgram } from "../../compiler/cli/program-module.ts";
import { parseGraph, parseGraphs } from "../../compiler/graph/parse.ts";
import { graphText } from "../../compiler/graph/text.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { COMPILED_PASSES, optimize, PASS_NAMES } from "../../compiler/pipeline.ts";
import { type Change, ChangeLog, changeText } from "../../compiler/transforms/changes.ts";

const text = `graph g {
  %0 = input x : f32[4]  # m.ts:1:1
  %1 = neg %0 : f32[4]  # m.ts:2:1
  %2 = neg %1 : f32[4]  # m.ts:3:1
  %3 = const 1 : f32[]  # m.ts:4:1
  %4 = broadcast %3 dims=[] : f32[4]  # m.ts:4:1
  %5 = add %2, %4 : f32[4]  # m.ts:4:1
  %6 = exp %5 : f32[4]  # m.ts:5:1
  output y = %6
}
`;

describe("optimize", () => {
  it("leaves NoiSER valid after each pass, with the same inputs, outputs, updates and effects", async () => {
    for (const graph of (await importProgram("dsl-examples/noiser")).entries) {
      const ran: string[] = [];
      const result = optimize(graph, { onPass: (pass, g) => { ran.push(pass); verifyGraph(g); } });
      expect(ran).toEqual(COMPILED_PASSES);
      expect(result.nodes.length).toBeLessThan(graph.nodes.length * 1.2);
      for (const list of ["outputs", "updates"] as const) expect(result[list].map(o => o.name)).toEqual(graph[list].map(o => o.name));
      expect(result.nodes.some(n => n.op === "composite")).toBe(false);
    }
  });
  it("runs the passes it is given, up to the last that is wanted", () => {
    const ran: string[] = [];
    optimize(parseGraph(text), { passes: ["dead-code", "simplify", "movement"], stopAfter: "simplify", onPass: pass => ran.push(pass) });
    expect(ran).toEqual(["dead-code", "simplify"]);
  });
  it("refuses what cannot run before anything does", () => {
    const g = parseGraph(text);
    expect(() => optimize(g, { passes: ["simplfy"] })).toThrow(`error PASS001: there is no pass simplfy\n  found:    simplfy\n  expected: ${PASS_NAMES.join(", ")}`);
    expect(() => optimize(g, { passes: ["inline-composites", "simplify", "differentiate"] })).toThrow("error PASS002: differentiate cannot run after inline-composites: the graph is no longer differentiable");
    expect(() => optimize(g, { stopAfter: "differentiate" })).toThrow("error PASS002: differentiate is not among the passes that run");
  });
});

describe("changes", () => {
  const changesOf = (slir: string, passes?: readonly string[]): Change[] => {
    const graph = parseGraph(slir);
    const log = new ChangeLog(graph);
    const changes: Change[] = [];
    optimize(graph, { ...(passes ? { passes } : {}), onPass: (pass, g, fired) => changes.push(log.commit(pass, g, fired)) });
    return changes;
  };
  it("are the lines that went, came and changed, under labels that stay", () => {
    expect(changesOf(text, ["simplify", "fold-constants"]).map(changeText)).toEqual([
      `// simplify: 2 removed, 0 added, 1 changed by negate-twice
//   - %1 = neg %0 : f32[4]  # m.ts:2:1
//   - %2 = neg %1 : f32[4]  # m.ts:3:1
//   - %5 = add %2, %4 : f32[4]  # m.ts:4:1
//   + %5 = add %0, %4 : f32[4]  # m.ts:4:1`,
      `// fold-constants: 2 removed, 1 added, 1 changed by fold-broadcast
//   - %3 = const 1 : f32[]  # m.ts:4:1
//   - %4 = broadcast %3 dims=[] : f32[4]  # m.ts:4:1
//   + %7 = const 1 : f32[4]  # m.ts:4:1
//   - %5 = add %0, %4 : f32[4]  # m.ts:4:1
//   + %5 = add %0, %7 : f32[4]  # m.ts:4:1`,
    ]);
  });
  it("name lines in bodies by the nodes around them", () => {
    const change = changesOf(`graph g {
      %0 = input x : f32[4]
      %1 = composite c %0 : f32[4]
        body c {
          %0 = input x0 : f32[4]
          %1 = neg %0
          %2 = neg %1
          output y0 = %2
        }
      output y = %1
    }`, ["simplify"])[0]!;
    expect(change.removed).toEqual(["%1 body %1 = neg %0 : f32[4]", "%1 body %2 = neg %1 : f32[4]"]);
    expect(change.changed).toEqual([{ before: "%1 body output y0 = %2", after: "%1 body output y0 = %0" }]);
  });
  it("say so where there are none", () => {
    expect(changeText(changesOf(text, ["dead-code"])[0]!)).toBe("// dead-code: no change");
  });
});

describe("sluice opt", () => {
  let folder = "";
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "sluice-opt-"))));
  afterAll(() => rm(folder, { recursive: true }));
  const sluice = (...args: string[]): { code: number | null; out: string; err: string } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["compiler/cli/sluice.js", "opt", ...args], { encoding: "utf8" });
    return { code: status, out: stdout, err: stderr };
  };

  it("writes a file's graphs after the passes, and reads its own answer again, comments included", async () => {
    const file = join(folder, "g.slir");
    await writeFile(file, text);
    const { code, out } = sluice(file, "--changes");
    expect(code).toBe(0);
    expect(out).toContain("// simplify: 2 removed, 0 added, 1 changed by negate-twice\n");
    expect(parseGraph(out).nodes.map(n => n.op)).toEqual(["input", "const", "add", "exp"]);
    expect(sluice(file, "--passes", "simplify").out).toBe(graphText(optimize(parseGraph(text), { passes: ["simplify"] })));
  });
  it("takes a program, one entry or all, and writes to a file", async () => {
    const out = join(folder, "noiser.slir");
    expect(sluice("dsl-examples/noiser", "--stop-after", "inline-composites", "-o", out)).toEqual({ code: 0, out: "", err: "" });
    expect(parseGraphs(await readFile(out, "utf8")).map(g => g.name).sort()).toEqual(["enhance", "learn"]);
    expect(parseGraph(sluice("dsl-examples/noiser", "--entry", "enhance").out).name).toBe("enhance");
  });
  it("prints after fusion what each kernel moves and computes, and the entry beside its ops one by one", () => {
    const { code, out } = sluice("dsl-examples/noiser", "--entry", "enhance", "--stop-after", "fusion", "--dim", "H=400", "--dim", "W=600");
    expect(code).toBe(0);
    const [title, head, first, second, sum, apart] = out.split("\n").map(line => line.trim().split(/ {2,}/));
    expect(title).toEqual(["enhance, simd128, H = 400, W = 600"]);
    expect(head).toEqual(["kernel", "reads", "writes", "flops", "flops/byte", "what it computes"]);
    // The picture is read twice, as bytes; between the two kernels go sums only. 3·32·9 products a pixel, twice in the second.
    expect(first!.slice(1, 4)).toEqual(["707 KiB", "5.00 KiB", "415 M"]);
    expect(second!.slice(1, 4)).toEqual(["715 KiB", "703 KiB", "829 M"]);
    expect(sum![0]).toBe("2 kernels");
    expect(apart![0]).toMatch(/^\d+ ops unfused$/);
    expect(Number(/^(\d+) × the bytes$/.exec(apart!.at(-1)!)![1])).toBeGreaterThan(100);
  });
  it("prints without fusion a kernel for every op, in which nothing else is computed", () => {
    const { code, out } = sluice("dsl-examples/noiser", "--entry", "enhance", "--stop-after", "fusion", "--no-fusion", "--target", "vulkan");
    expect(code).toBe(0);
    const [, , ...rows] = out.trim().split("\n").map(line => line.trim().split(/ {2,}/));
    const [sum, apart] = rows.splice(-2);
    // Two of the reductions are of so much that they are made in two.
    expect([sum![0], apart![0]]).toEqual([`${rows.length} kernels`, `${rows.length - 2} ops unfused`]);
    expect(apart![2]).toBe(sum![2]);
  });
  it.each([
    ["passes with fusion", ["dsl-examples/noiser", "--passes", "simplify", "--stop-after", "fusion"], "error PASS003: fusion comes after the compiler's own passes"],
    ["a file that is not there", ["missing.slir"], "error FILE001: missing.slir: cannot be read: no such file or folder"],
    ["a pass that there is not", ["dsl-examples/noiser", "--passes", "simplify,fly"], "error PASS001: there is no pass fly"],
    ["an entry that there is not", ["dsl-examples/noiser", "--entry", "brighter"], "error ENTRY001: dsl-examples/noiser has no graph `brighter`"],
    ["an entry without anything to differentiate", ["dsl-examples/noiser", "--entry", "enhance", "--passes", "differentiate"], "error GRAD003: graph enhance has nothing to differentiate"],
  ])("refuses %s in one message", (_, args, message) => {
    const { code, out, err } = sluice(...args);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err.startsWith(message)).toBe(true);
    expect(err).not.toMatch(/\n {4}at /);
  });
  it("refuses a malformed text at its place", async () => {
    const file = join(folder, "bad.slir");
    await writeFile(file, "graph g {\n  %0 = input x : f32[4]\n  %1 = frob %0\n}\n");
    expect(sluice(file)).toEqual({ code: 1, out: "", err: `${file}:3:8: error SLIR001: there is no op frob\n3 |   %1 = frob %0\n  |        ^\n` });
  });
});
