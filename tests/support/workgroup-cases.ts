// Kernels of workgroups that together do all that threads do together: fragments, exchanges, shared memory, copies.
import { addSize, dimSize, floorDivSize, modSize, mulSize } from "../../compiler/base/sizes.ts";
import { add, binary, cast, index, lt, mul } from "../../compiler/kernel/expr.ts";
import { type Buffer, type Expr, type Kernel, REGISTER_TYPE } from "../../compiler/kernel/ir.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import { type Case, elementsOf, small } from "./kernel-cases.ts";

export const simt = (name: string, dims: Kernel["dims"] = []): KernelBuilder => new KernelBuilder({ name, machine: "simt", summary: "", dims });
/** A row of another thread. */
const rowAfter = (row: ReturnType<typeof floorDivSize>, by: number): Expr => index(modSize(addSize(row, by), 8));

/** By what they show. */
export const WORKGROUP_CASES: readonly (readonly [name: string, cases: () => readonly Case[]])[] = [
  ["fragments of every type, from global and shared memory, in both orders and of several tiles", () => (["f16", "bf16", "f32", "i8"] as const).flatMap(d => (["row", "column"] as const).flatMap(order => (["global", 0, 8] as const).map((home): Case => {
    const [m, n, k] = [32, 24, 32];
    const b = simt(`fragments of ${d} by ${order}, ${home === "global" ? "global" : `shared swizzled by ${home}`}`);
    const shape = (rows: number, columns: number): [number, number] => (order === "row" ? [rows, columns] : [columns, rows]);
    const sum = d === "i8" ? "i32" : "f32";
    const [x, y, z] = [b.param("x", d, shape(m, k)), b.param("y", d, shape(k, n)), b.param("z", sum, [m, n], "readwrite")];
    b.grid("i", 1);
    const t = b.thread("t", 32);
    const held = (from: typeof x, [rows, columns]: [number, number]): Buffer => {
      if (home === "global") return from;
      const to = b.alloc(`${from.name}s`, d, [rows, columns], "shared", { swizzle: home });
      b.for_("row", rows, row => b.for_("part", Math.ceil(columns / 32), part => b.if_(lt(index(addSize(mulSize(part, 32), t)), columns), () => {
        b.store(to, [row, addSize(mulSize(part, 32), t)], b.load(from, [row, addSize(mulSize(part, 32), t)]));
      })));
      return to;
    };
    const [hx, hy] = [held(x, shape(m, k)), held(y, shape(k, n))];
    b.barrier();
    const [fx, fy, fz] = [b.fragment("fx", "a", d, m, n, k), b.fragment("fy", "b", d, m, n, k), b.fragment("fz", "accumulator", sum, m, n, k)];
    b.fragmentLoad(fz, z, [0, 0]);
    b.fragmentLoad(fx, hx, [0, 0], order);
    b.fragmentLoad(fy, hy, [0, 0], order);
    b.fragmentMma(fz, fx, fy);
    b.fragmentFill(fx, 2);
    b.fragmentMma(fz, fx, fy);
    b.fragmentStore(fz, z, [0, 0]);
    return { kernel: b.finish({ flops: 1 }), inputs: { x: small(d, m * k, 1), y: small(d, k * n, 2), z: small(sum, m * n, 3) } };
  })))],

  ["accumulators are stored as narrower types, at places that are data", () => (["f16", "bf16", "f32"] as const).map((d): Case => {
    const b = simt(`store ${d}`);
    const [at, y] = [b.param("at", "u8", [1]), b.param("y", d, [32, 8], "write")];
    b.grid("i", 1);
    b.thread("t", 32);
    const f = b.fragment("f", "accumulator", "f32", 16, 8, 16);
    b.fragmentFill(f, 1.2001);
    b.fragmentStore(f, y, [cast("i32", binary("and", b.load(at, [0]), 15)), 0]);
    return { kernel: b.finish({ flops: 1 }), inputs: { at: elementsOf("u8", [7]) } };
  })],

  ["exchanges and reductions of a subgroup, of a whole one and of a small workgroup", () => (["f32", "f64", "i32", "u32"] as const).flatMap(d => [64, 8].map((threads): Case => {
    const b = simt(`subgroups of ${d} in ${threads}`);
    const [x, y] = [b.param("x", d, [threads]), b.param("y", d, [5, threads], "write")];
    b.grid("i", 1);
    const t = b.thread("t", threads);
    const v = b.load(x, [t]);
    const reduced = (op: "add" | "max" | "min"): Expr => ({ kind: "subgroup_reduce", op, x: v });
    (["add", "max", "min"] as const).forEach((op, row) => b.store(y, [row, t], reduced(op)));
    b.store(y, [3, t], { kind: "subgroup_xor", x: v, mask: 5 });
    b.store(y, [4, t], mul(add(v, { kind: "subgroup_xor", x: mul(v, v), mask: 1 }), reduced("max")));
    return { kernel: b.finish({ flops: 1 }) };
  }))],

  ["shared memory of every dtype, swizzled or not, of one element and of vectors", () => (["f64", "f32", "f16", "bf16", "i32", "i16", "i8", "i4", "u32", "u16", "u8", "bool"] as const).flatMap(d => [0, 4, 8].flatMap(swizzle => [1, 4].map((lanes): Case => {
    const b = simt(`shared ${d} swizzled by ${swizzle} x${lanes}`);
    const [x, y] = [b.param("x", d, [8, 16]), b.param("y", d, [8, 16], "write")];
    b.grid("i", 1);
    const t = b.thread("t", 32);
    const s = b.alloc("s", d, [8, 16], "shared", { swizzle });
    const [row, column] = [floorDivSize(t, 4), mulSize(modSize(t, 4), 4)];
    const each = (body: (at: typeof column) => void): void => {
      if (lanes === 4) body(column);
      else b.unroll("u", 4, u => body(addSize(column, u)));
    };
    each(at => b.store(s, [row, at], b.load(x, [row, at], lanes)));
    b.barrier();
    const other = b.index("other", cast("i32", rowAfter(row, 5)));
    each(at => b.store(y, [row, at], b.load(s, [other, at], lanes)));
    return { kernel: b.finish({ flops: 1 }) };
  })))],

  ["shared nibbles that neighbours write, and atomics on shared memory", () => {
    const b = simt("neighbours");
    const [y, z] = [b.param("y", "i32", [32], "write"), b.param("z", "i32", [32], "write")];
    b.grid("i", 1);
    const t = b.thread("t", 32);
    const nibbles = b.alloc("nibbles", "i4", [32], "shared");
    const totals = b.alloc("totals", "i32", [32], "shared");
    b.store(totals, [t], index(t));
    b.store(nibbles, [t], index(t));
    b.barrier();
    b.store(y, [t], b.load(nibbles, [modSize(addSize(t, 7), 32)]));
    b.atomic("add", totals, [modSize(t, 3)], index(t));
    b.barrier();
    b.store(z, [t], b.load(totals, [t]));
    return [{ kernel: b.finish({ flops: 1 }) }];
  }],

  ["copies of 4, 8 and 16 bytes, and of what is not aligned", () => (["f32", "f16", "i8", "i4"] as const).flatMap(d => [4, 8, 16].flatMap(bytes => [0, 1].map((offset): Case => {
    const elements = (8 * bytes) / { f32: 32, f16: 16, i8: 8, i4: 4 }[d];
    const n = dimSize("n");
    const b = simt(`copy ${elements} of ${d} from ${offset}`, [{ name: "n", binding: "call", min: 2 * elements, max: 4096, multipleOf: 2 * elements }]);
    const [x, y] = [b.param("x", d, [32, n]), b.param("y", REGISTER_TYPE[d], [32, elements], "write")];
    b.grid("i", 1);
    const t = b.thread("t", 32);
    const s = b.alloc("s", d, [32, elements], "shared");
    b.asyncCopy(s, [t, 0], x, [t, offset], elements);
    b.asyncCommit();
    b.asyncWait(0);
    b.barrier();
    b.for_("e", elements, e => b.store(y, [t, e], b.load(s, [modSize(addSize(t, 3), 32), e])));
    return { kernel: b.finish({ flops: 1 }), dims: { n: 2 * elements } };
  })))],
];
