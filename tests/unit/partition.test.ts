// Partitions keep their invariants on random graphs for every machine, and what breaks one is refused by its number.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { type Graph, type NodeId, rootsOf, tensorType } from "../../compiler/graph/graph.ts";
import { conv2d, entry, f32, instanceNorm, type Tensor } from "sluice";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { isImageMoments } from "../../compiler/fusion/moments.ts";
import { draftKernels } from "../../compiler/fusion/drafts.ts";
import { type Partition, partition, type PartitionOptions } from "../../compiler/fusion/partition.ts";
import { PartitionInvariantError, verifyPartition } from "../../compiler/fusion/verify-partition.ts";
import { MACHINES } from "../../compiler/kernel/machines.ts";
import { optimize } from "../../compiler/pipeline.ts";

const FUSED: PartitionOptions = { fusion: true, fits: () => true, storesMoments: false, lanes: 4 };
const wantedOf = (g: Graph): NodeId[] => [...new Set(rootsOf(g))];

/** Anchors and elementwise ops over one shape; most values have one reader, in which any two may meet. */
const meeting: fc.Arbitrary<Graph> = fc.array(fc.tuple(fc.nat(11), fc.nat(9), fc.nat(9)), { minLength: 12, maxLength: 24, size: "max" }).map(ops => {
  const b = new GraphBuilder("meeting");
  const g = new Build(b, null);
  const type = tensorType("f32", [8, 8]);
  let inputs = 0;
  const input = (): NodeId => g.node("input", [], { name: `x${inputs++}`, type });
  const unread: NodeId[] = [];
  const read = (which: number): NodeId => (which === 9 ? unread.at(-1) : unread.splice(which, 1)[0]) ?? input();
  for (const [op, i, j] of ops) {
    const p = read(i);
    switch (op) {
      case 0: case 1: case 2: unread.push(g.node("contract", [p, input()], { a: [0, 1], b: [1, 2], out: [0, 2] })); break;
      case 3: unread.push(g.unreduce(g.sum(p, [1]), p, [1])); break;
      case 4: unread.push(g.node("scan", [p], { kind: "sum", axis: 1, exclusive: false, reverse: false })); break;
      case 5: unread.push(g.unary("tanh", p)); break;
      case 6: unread.push(g.reshape(g.unary("neg", g.reshape(p, [8, 1, 8])), [8, 8])); break;
      case 7: unread.push(g.select(g.binary("lt", p, input()), p, read(j))); break;
      default: unread.push(g.binary(op < 10 ? "add" : "mul", p, read(j)));
    }
  }
  unread.forEach((id, i) => b.outputs.push({ name: `y${i}`, id }));
  return b.finish();
});

describe.each([true, false])("fusion %s", fusion => {
  test.each(Object.values(MACHINES))("every kernel of anchors that meet in random ways can be made, for $name", machine => {
    let met = 0;
    fc.assert(fc.property(meeting, graph => {
      const g = optimize(graph);
      if (partition(g, wantedOf(g), { ...FUSED, fusion }).ends.size > 1) met++;
      // Which verifies the partition that it makes.
      draftKernels(g, wantedOf(g), machine, { fusion });
    }), { numRuns: 60, seed: 20261129, endOnFailure: true });
    expect(met > 10).toBe(fusion);
  });
});

describe("a convolution that makes the one before it again, or does not because what is between is long", () => {
  const [before, after, norm] = [conv2d(3, 8, [3, 3]), conv2d(8, 3, [3, 3]), instanceNorm(8)];
  const repeated = <T extends Tensor>(x: T, times: number): T => Array.from({ length: times }).reduce<T>(y => y.mul(0.9).tanh() as unknown as T, x);
  const graphOf = (first: number, second: number): Graph => {
    const f = entry({ x: f32(2, 8, 9, 3) }, ({ x }) => ({ y: after(repeated(norm(repeated(before(x), first)), second)) }));
    return optimize(traceProgram({ before, after, norm, f }, "chained").entries[0]!, { keeps: isImageMoments });
  };
  test.each(Object.values(MACHINES))("for $name", machine => {
    for (const [first, second] of [[0, 0], [12, 0], [0, 12], [8, 8], [17, 0], [0, 17], [17, 17]] as const) {
      const g = graphOf(first, second);
      expect(draftKernels(g, wantedOf(g), machine, { fusion: true }).works.length).toBeGreaterThan(1);
    }
  });
  test("it makes it again where little is between", () => {
    const chained = (first: number, second: number): number => {
      const g = graphOf(first, second);
      return partition(g, wantedOf(g), FUSED).chained.size;
    };
    expect([chained(0, 0), chained(8, 8)]).toEqual([1, 0]);
  });
});

describe("a partition is refused", () => {
  const graph = parseGraph(`graph g {
    %0 = input x : f32[4, 8]
    %1 = input a : f32[8, 8]
    %2 = input b : f32[8, 8]
    %3 = contract %0, %1 a=[0, 1] b=[1, 2] out=[0, 2] : f32[4, 8]
    %4 = contract %0, %2 a=[0, 1] b=[1, 2] out=[0, 2] : f32[4, 8]
    %5 = add %3, %4 : f32[4, 8]
    %6 = tanh %5 : f32[4, 8]
    %7 = neg %6 : f32[4, 8]
    %8 = exp %6 : f32[4, 8]
    output y = %7
    output z = %8
  }`);
  const wanted = wantedOf(graph);
  const good = partition(graph, wanted, FUSED);
  const refusedBy = (changed: Partial<Partition>): number | null => {
    try {
      verifyPartition(graph, wanted, { ...good, ...changed });
      return null;
    } catch (error) {
      if (error instanceof PartitionInvariantError) return error.invariant;
      throw error;
    }
  };
  const storedBut = (id: NodeId, value: boolean): readonly boolean[] => good.stored.map((s, i) => (i === id ? value : s));

  test("not if it is the compiler's", () => {
    expect([...good.ends]).toEqual([[3, 6]]);
    expect(refusedBy({})).toBeNull();
  });
  test("where a value has no kernel", () => expect(refusedBy({ groups: good.groups.slice(1) })).toBe(1));
  test("where a value has two kernels", () => expect(refusedBy({ groups: [...good.groups, good.groups[0]!] })).toBe(1));
  test("where a kernel is of another kind than its roots", () => expect(refusedBy({ groups: good.groups.map(g => ({ ...g, kind: "loop" as const })) })).toBe(2));
  test("where a value inside a path has a buffer", () => expect(refusedBy({ stored: storedBut(5, true), groups: [...good.groups, { kind: "loop", roots: [5], stage: 3 }] })).toBe(3));
  test("where the end of a path has none", () => expect(refusedBy({ stored: storedBut(6, false) })).toBe(3));
  test("where a path goes on behind a value with several readers", () => expect(refusedBy({ ends: new Map([[3, 7]]), groups: good.groups.map(g => ({ ...g, roots: g.roots.filter(r => r !== 7) })) })).not.toBeNull());
  test("where two paths meet", () => {
    const ends = new Map([[3, 6], [4, 5]]);
    expect(refusedBy({ ends, stored: good.stored.map((s, i) => (i === 4 ? false : s)) })).not.toBeNull();
    expect(refusedBy({ ends, stored: good.stored.map((s, i) => (i === 4 ? false : i === 5 ? true : s)) })).toBe(3);
    expect(refusedBy({ ends: new Map([[4, 6], [3, 6]]), stored: storedBut(4, false) })).not.toBeNull();
  });
  test("where a kernel would compute another anchor", () => expect(refusedBy({ stored: storedBut(4, false), groups: good.groups.filter(g => g.roots[0] !== 4) })).toBe(5));
  test("where a kernel reads what is not written yet", () => expect(refusedBy({ groups: good.groups.map(g => ({ ...g, stage: 1 })) })).toBe(6));
});
