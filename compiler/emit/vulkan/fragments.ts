// Matrix fragments as cooperative matrices of subgroups, by VK_KHR_cooperative_matrix or, for drivers that are older, by NVIDIA's
// extension of before. A fragment is tiles of the sizes that devices have; what a thread holds of one is the driver's affair.
import { InternalError } from "../../base/diagnostics.ts";
import { type DType, DTYPES } from "../../base/dtypes.ts";
import { add } from "../../kernel/expr.ts";
import type { Expr, Stmt } from "../../kernel/ir.ts";
import { encodeElements } from "../../kernel/memory.ts";
import { type Assembler, CAPABILITY, type Id, OP } from "./assembler.ts";
import type { Expressions } from "./expressions.ts";
import type { Matrices } from "./features.ts";
import { access, pointerTo } from "./memory.ts";

type FragmentStmt = Stmt & { readonly kind: "fragment" | "fragment_fill" | "fragment_load" | "fragment_mma" | "fragment_store" };
interface Held {
  readonly role: "a" | "b" | "accumulator";
  readonly dtype: DType;
  readonly type: Id;
  /** Rows and columns of a tile. */
  readonly tile: readonly [rows: number, columns: number];
  /** Variables, by rows of tiles. */
  readonly tiles: readonly (readonly Id[])[];
}

const SUBGROUP_SCOPE = 3;
const USE = { a: 0, b: 1, accumulator: 2 } as const;
const LAYOUT = { row: 0, column: 1 } as const;
/** Both factors, what is added to and the result have signs. */
const SIGNED = 1 | 2 | 4 | 8;
/** What devices multiply, and what they sum in. */
const FACTORS: ReadonlySet<DType> = new Set(["f16", "i8"]);
const SUMS: ReadonlySet<DType> = new Set(["f16", "f32", "i32"]);

/** Of so many elements that tiles divide: 16 where that is possible, along the depth of bytes 32. */
const tileOf = (extent: number, most: number): number => [most, 16, 8].find(t => extent % t === 0) ?? extent;

export class Fragments {
  readonly #m: Assembler;
  readonly #expressions: Expressions;
  readonly #matrices: Matrices;
  readonly #held = new Map<string, Held>();

  constructor(assembler: Assembler, expressions: Expressions, matrices: Matrices) {
    this.#m = assembler;
    this.#expressions = expressions;
    this.#matrices = matrices;
    assembler.needs(CAPABILITY.VulkanMemoryModel);
    assembler.needs(CAPABILITY.VulkanMemoryModelDeviceScope);
    if (matrices === "khr") assembler.needs(CAPABILITY.CooperativeMatrixKHR, "SPV_KHR_cooperative_matrix");
    else assembler.needs(CAPABILITY.CooperativeMatrixNV, "SPV_NV_cooperative_matrix");
  }

  statement(s: FragmentStmt): void {
    const m = this.#m;
    switch (s.kind) {
      case "fragment": this.#declare(s); return;
      case "fragment_fill": {
        const held = this.#of(s.fragment);
        const value = m.value(OP.CompositeConstruct, held.type, this.#constant(held.dtype, s.value));
        for (const variable of held.tiles.flat()) m.act(OP.Store, variable, value);
        return;
      }
      case "fragment_load": this.#load(s); return;
      case "fragment_store": this.#store(s); return;
      case "fragment_mma": {
        const [d, a, b] = [this.#of(s.d), this.#of(s.a), this.#of(s.b)];
        const isInteger = DTYPES[d.dtype].kind === "signed";
        d.tiles.forEach((row, r) => row.forEach((sum, c) => {
          let total = m.value(OP.Load, d.type, sum);
          a.tiles[r]!.forEach((left, k) => {
            const factors = [m.value(OP.Load, a.type, left), m.value(OP.Load, b.type, b.tiles[k]![c]!)];
            total = this.#matrices === "khr"
              ? m.value(OP.CooperativeMatrixMulAddKHR, d.type, ...factors, total, ...(isInteger ? [SIGNED] : []))
              : m.value(OP.CooperativeMatrixMulAddNV, d.type, ...factors, total);
          });
          m.act(OP.Store, sum, total);
        }));
      }
    }
  }

  #declare({ name, role, dtype, m, n, k }: FragmentStmt & { kind: "fragment" }): void {
    if (!(role === "accumulator" ? SUMS : FACTORS).has(dtype)) throw new InternalError(`fragment ${name} of ${dtype}: devices have no such ${role === "accumulator" ? "sums" : "factors"} on Vulkan`);
    const depth = tileOf(k, dtype === "i8" ? 32 : 16);
    const [height, width] = [tileOf(m, 16), tileOf(n, 16)];
    const [rows, columns, tile] = ({ a: [m, k, [height, depth]], b: [k, n, [depth, width]], accumulator: [m, n, [height, width]] } as const)[role];
    const type = this.#type(dtype, role, tile);
    const tiles = Array.from({ length: rows / tile[0] }, () => Array.from({ length: columns / tile[1] }, () => this.#m.variable(type)));
    this.#held.set(name, { role, dtype, type, tile, tiles });
  }
  #type(dtype: DType, role: Held["role"], [rows, columns]: Held["tile"]): Id {
    const m = this.#m;
    const shape = [SUBGROUP_SCOPE, rows, columns].map(x => m.constantInt(32, x));
    return this.#matrices === "khr" ? m.global(OP.TypeCooperativeMatrixKHR, [this.#component(dtype), ...shape, m.constantInt(32, USE[role])]) : m.global(OP.TypeCooperativeMatrixNV, [this.#component(dtype), ...shape]);
  }
  /** Integers have a sign here. */
  #component(dtype: DType): Id {
    const m = this.#m;
    const { bits, kind } = DTYPES[dtype];
    if (kind === "float") return m.float(bits as 16 | 32);
    if (bits === 8) m.needs(CAPABILITY.Int8);
    return m.global(OP.TypeInt, [bits, 1]);
  }
  #constant(dtype: DType, value: number): Id {
    const bytes = new Uint8Array(4);
    bytes.set(encodeElements(dtype, [value]));
    // A narrow integer is extended by its sign.
    const [word] = dtype === "i8" ? new Uint32Array(Int32Array.of(value).buffer) : new Uint32Array(bytes.buffer);
    return this.#m.global(OP.Constant, [word!], { type: this.#component(dtype) });
  }

  #of(name: string): Held {
    const held = this.#held.get(name);
    if (!held) throw new InternalError(`fragment ${name} is used before it is defined`);
    return held;
  }

  /** Where each tile begins in memory, the elements from row to row, and how memory is accessed. */
  #places(held: Held, buffer: string, index: readonly Expr[], order: "row" | "column"): { readonly each: (visit: (variable: Id, pointer: Id) => void) => void; readonly stride: Id; readonly access: readonly number[]; readonly dtype: DType } {
    const m = this.#m;
    const place = this.#expressions.place(buffer);
    if (place.kind === "register") throw new InternalError(`a fragment in registers ${buffer}`);
    const [outer, inner] = index.slice(-2) as [Expr, Expr];
    const each = (visit: (variable: Id, pointer: Id) => void): void => held.tiles.forEach((row, r) => row.forEach((variable, c) => {
      const by = [r * held.tile[0], c * held.tile[1]] as const;
      const [down, right] = order === "row" ? by : [by[1], by[0]];
      const at = this.#expressions.at(place.buffer, [...index.slice(0, -2), add(outer, down), add(inner, right)]);
      visit(variable, pointerTo(m, place.home, at.index));
    }));
    return { each, stride: this.#expressions.size(place.buffer.shape.at(-1)!), access: access(m, place.home), dtype: place.buffer.dtype };
  }

  #load({ fragment, buffer, index, order }: FragmentStmt & { kind: "fragment_load" }): void {
    const m = this.#m;
    const held = this.#of(fragment);
    const { each, stride, access: operands, dtype } = this.#places(held, buffer, index, order);
    if (dtype !== held.dtype) throw new InternalError(`fragment ${fragment} of ${held.dtype} is loaded from ${buffer}, which is ${dtype}`);
    each((variable, pointer) => m.act(OP.Store, variable, this.#matrices === "khr"
      ? m.value(OP.CooperativeMatrixLoadKHR, held.type, pointer, m.constantInt(32, LAYOUT[order]), stride, ...operands)
      : m.value(OP.CooperativeMatrixLoadNV, held.type, pointer, stride, m.constantBool(order === "column"), ...operands)));
  }

  #store({ fragment, buffer, index }: FragmentStmt & { kind: "fragment_store" }): void {
    const m = this.#m;
    const held = this.#of(fragment);
    const { each, stride, access: operands, dtype } = this.#places(held, buffer, index, "row");
    if (dtype !== held.dtype && !(held.dtype === "f32" && dtype === "f16")) throw new InternalError(`fragment ${fragment} of ${held.dtype} is stored in ${buffer}, which is ${dtype}`);
    each((variable, pointer) => {
      const own = m.value(OP.Load, held.type, variable);
      const value = dtype === held.dtype ? own : m.value(OP.FConvert, this.#type(dtype, held.role, held.tile), own);
      if (this.#matrices === "khr") m.act(OP.CooperativeMatrixStoreKHR, pointer, value, m.constantInt(32, LAYOUT.row), stride, ...operands);
      else m.act(OP.CooperativeMatrixStoreNV, pointer, value, stride, m.constantBool(false), ...operands);
    });
  }
}
