// Anchors written as plain nests of loops over their definition: what has no generator of its own, at any shape and dtype.
import { isFloat } from "../base/dtypes.ts";
import { addSize, floorDivSize, modSize, mulSize, productSize, type Size, sizeRange, subSize } from "../base/sizes.ts";
import type { ConvAttrs, NodeId, NodeOf } from "../graph/graph.ts";
import * as e from "../kernel/expr.ts";
import { type Expr, REGISTER_TYPE, typeOf } from "../kernel/ir.ts";
import type { Mutable } from "../../kernels/builder.ts";
import { forBlocks, sumLevels } from "../../kernels/sums.ts";
import { clampedId, combine, neutral } from "./elements.ts";
import { everyIndex, lanesFor, overShape } from "./loops.ts";
import type { Draft, KernelScope, ValueId } from "./scope.ts";

const multiplyAdd = (a: Expr, b: Expr, total: Expr, float: boolean): Expr => (float ? e.fma(a, b, total) : e.add(total, e.mul(a, b)));

/** One element at a time: `sum` calls `term` for every product of the element at the index. */
function sumOfProducts(scope: KernelScope, id: NodeId, end: NodeId, flops: Size, sum: (at: readonly Size[], term: (a: () => Expr, b: () => Expr) => void) => void): Draft {
  const { k, elements } = scope;
  const { dtype, shape } = elements.type(id);
  overShape(scope, shape, 1, () => scope.hoistScalars([id]), at => {
    const total = k.mutable("total", e.constant(REGISTER_TYPE[dtype], 0));
    sum(at, (a, b) => elements.scoped(() => k.assign(total, multiplyAdd(a(), b(), total, isFloat(dtype)))));
    scope.finishAt(id, end, at, k.let_("y", total), 1);
  });
  return scope.finish(flops);
}

/** Where an image position meets the window: calls `body` if 0 ≤ position < extent. */
function within(scope: KernelScope, position: Size, extent: Size, body: (at: Size) => void): void {
  const p = scope.k.let_("p", e.index(position));
  scope.k.if_(e.and(e.ge(p, e.index(0)), e.lt(p, e.index(extent))), () => body(scope.k.index("p", p)));
}

/** y = position in the image of x at which window element `tap` of output `o` reads. */
const imagePosition = (a: ConvAttrs, axis: 0 | 1, o: Size, tap: Size): Size => subSize(addSize(mulSize(o, a.stride[axis]), mulSize(tap, a.dilation[axis])), a.padding[axis][0]);

export function convNest(scope: KernelScope, id: NodeId, end: NodeId): Draft {
  const { attrs, inputs } = scope.graph.nodes[id] as NodeOf<"conv">;
  const [x, filter] = [inputs[0]!, inputs[1]!];
  const [, height, width] = scope.elements.type(x).shape as [Size, Size, Size, Size];
  const [kh, kw, channels, out] = scope.elements.type(filter).shape as [Size, Size, Size, Size];
  const shape = scope.elements.type(id).shape;
  return sumOfProducts(scope, id, end, productSize([2, ...shape, kh, kw, channels]), ([n, oy, ox, o], term) => {
    const group = groupOf(scope, o!, out, attrs.groups);
    scope.k.for_("ky", kh, ky => within(scope, imagePosition(attrs, 0, oy!, ky), height, iy => {
      scope.k.for_("kx", kw, kx => within(scope, imagePosition(attrs, 1, ox!, kx), width, ix => {
        scope.k.for_("c", channels, c => term(
          () => scope.elements.value(x, [n!, iy, ix, addSize(mulSize(group, channels), c)], 1),
          () => scope.elements.value(filter, [ky, kx, c, o!], 1)));
      }));
    }));
  });
}

/** An einsum, one element of the result at a time; long sums of floats are made in blocks. */
export function contractNest(scope: KernelScope, id: NodeId, end: NodeId): Draft {
  const { k, elements } = scope;
  const { attrs: { a, b, out }, inputs } = scope.graph.nodes[id] as NodeOf<"contract">;
  const sizes = new Map<number, Size>();
  [a, b].forEach((labels, i) => labels.forEach((l, axis) => sizes.set(l, elements.type(inputs[i]!).shape[axis]!)));
  const summed = [...sizes.keys()].filter(l => !out.includes(l));
  const { dtype } = elements.type(id);
  const most = summed.map(l => Math.min(sizeRange(sizes.get(l)!, name => scope.graph.dims.find(d => d.name === name)).max, 2 ** 31));
  const levels = isFloat(dtype) ? sumLevels(most) : summed.map((_, axis) => ({ axis, step: 1, fresh: false }));
  overShape(scope, elements.type(id).shape, 1, () => scope.hoistScalars([id]), at => {
    const zero = e.constant(REGISTER_TYPE[dtype], 0);
    const index = new Map(out.map((l, axis) => [l, at[axis]!]));
    const loop = (number: number, ranges: readonly { readonly from: Size; readonly count: Size }[], outer: Mutable): void => {
      const level = levels[number];
      if (!level) {
        elements.scoped(() => k.assign(outer, multiplyAdd(elements.value(inputs[0]!, a.map(l => index.get(l)!), 1), elements.value(inputs[1]!, b.map(l => index.get(l)!), 1), outer, isFloat(dtype))));
        return;
      }
      const { from, count } = ranges[level.axis]!;
      const own = level.fresh ? k.mutable("block", zero) : outer;
      if (level.step > 1) forBlocks(k, from, count, level.step, (start, size) => loop(number + 1, ranges.with(level.axis, { from: start, count: size }), own));
      else k.for_("k", count, i => {
        index.set(summed[level.axis]!, addSize(from, i));
        loop(number + 1, ranges, own);
      });
      if (level.fresh) k.assign(outer, e.add(outer, own));
    };
    const total = k.mutable("total", zero);
    loop(0, summed.map(l => ({ from: 0, count: sizes.get(l)! })), total);
    scope.finishAt(id, end, at, k.let_("y", total), 1);
  });
  return scope.finish(productSize([2, ...sizes.values()]));
}

/** Number of the group that an output channel belongs to. */
function groupOf(scope: KernelScope, channel: Size, channels: Size, groups: number): Size {
  if (groups === 1) return 0;
  if (typeof channels === "number") return floorDivSize(channel, channels / groups);
  return scope.k.index("group", e.div(e.index(channel), e.index(channels)));
}

/** Output positions that read image position `i` through window element `tap`: one where the strides meet. */
function throughStride(scope: KernelScope, a: ConvAttrs, axis: 0 | 1, i: Size, tap: Size, extent: Size, body: (o: Size) => void): void {
  const offset = subSize(addSize(i, a.padding[axis][0]), mulSize(tap, a.dilation[axis]));
  const { k } = scope;
  if (a.stride[axis] === 1) {
    within(scope, offset, extent, body);
    return;
  }
  const position = k.let_("p", e.index(offset));
  k.if_(e.and(e.ge(position, e.index(0)), e.eq(e.rem(position, a.stride[axis]), e.index(0))), () => {
    const o = k.let_("o", e.div(position, a.stride[axis]));
    const below = e.lt(o, e.index(extent));
    // That o is not negative is lost on the verifier, to which an extent of 0 would leave no place for the maximum.
    k.if_(scope.elements.mayBeEmpty(extent) ? e.and(e.lt(e.index(0), e.index(extent)), below) : below, () => body(k.index("o", e.max(o, e.index(0)))));
  });
}

export function convInputNest(scope: KernelScope, id: NodeId, end: NodeId): Draft {
  const { attrs, inputs } = scope.graph.nodes[id] as NodeOf<"conv_input">;
  const [dy, filter] = [inputs[0]!, inputs[1]!];
  const [, height, width] = scope.elements.type(dy).shape as [Size, Size, Size, Size];
  const [kh, kw, channels, out] = scope.elements.type(filter).shape as [Size, Size, number, number];
  const shape = scope.elements.type(id).shape;
  return sumOfProducts(scope, id, end, productSize([2, ...shape, kh, kw, out / attrs.groups]), ([n, iy, ix, c], term) => {
    const [group, inGroup] = attrs.groups === 1 ? [0, c!] : [floorDivSize(c!, channels), modSize(c!, channels)];
    scope.k.for_("ky", kh, ky => throughStride(scope, attrs, 0, iy!, ky, height, oy => {
      scope.k.for_("kx", kw, kx => throughStride(scope, attrs, 1, ix!, kx, width, ox => {
        scope.k.for_("o", out / attrs.groups, o => {
          const channel = addSize(mulSize(group, out / attrs.groups), o);
          term(() => scope.elements.value(dy, [n!, oy, ox, channel], 1), () => scope.elements.value(filter, [ky, kx, inGroup, channel], 1));
        });
      }));
    }));
  });
}

export function convFilterNest(scope: KernelScope, id: NodeId, end: NodeId): Draft {
  const { attrs, inputs } = scope.graph.nodes[id] as NodeOf<"conv_filter">;
  const [x, dy] = [inputs[0]!, inputs[1]!];
  const [batch, height, width] = scope.elements.type(x).shape as [Size, Size, Size, Size];
  const [, outHeight, outWidth] = scope.elements.type(dy).shape as [Size, Size, Size, Size];
  const shape = scope.elements.type(id).shape;
  return sumOfProducts(scope, id, end, productSize([2, ...shape, batch, outHeight, outWidth]), ([ky, kx, c, o], term) => {
    const group = groupOf(scope, o!, shape[3]!, attrs.groups);
    scope.k.for_("n", batch, n => scope.k.for_("oy", outHeight, oy => within(scope, imagePosition(attrs, 0, oy, ky!), height, iy => {
      scope.k.for_("ox", outWidth, ox => within(scope, imagePosition(attrs, 1, ox, kx!), width, ix => term(
        () => scope.elements.value(x, [n, iy, ix, addSize(mulSize(group, shape[2]!), c!)], 1),
        () => scope.elements.value(dy, [n, oy, ox, o!], 1))));
    })));
  });
}

/** The running total of one row at a time; lanes are neighbouring rows. */
export function scanKernel(scope: KernelScope, id: NodeId): Draft {
  const { k, elements } = scope;
  const { attrs: { kind, axis, exclusive, reverse }, inputs } = scope.graph.nodes[id] as NodeOf<"scan">;
  const type = elements.type(id);
  const extent = type.shape[axis]!;
  const rows = type.shape.filter((_, i) => i !== axis);
  overShape(scope, rows, axis === type.shape.length - 1 ? 1 : lanesFor(scope, [id]), () => {}, (row, lanes) => {
    const total = k.mutable("total", e.splat(neutral(kind, type), lanes));
    k.for_("i", extent, i => {
      const at = [...row.slice(0, axis), reverse ? subSize(subSize(extent, 1), i) : i, ...row.slice(axis)];
      elements.scoped(() => {
        const before = k.let_("before", total);
        const after = k.let_("after", combine(kind, total, e.splat(elements.value(inputs[0]!, at, lanes), lanes)));
        k.assign(total, after);
        scope.storeAll([{ value: id, compute: () => (exclusive ? before : after) }], at, lanes);
      });
    });
  });
  return scope.finish(productSize(type.shape));
}

/** Whether a comes before b in a sort: NaN is last. */
function precedes(a: Expr, b: Expr, descending: boolean, float: boolean): Expr {
  const first = descending ? e.gt(a, b) : e.lt(a, b);
  return float ? e.or(first, e.and(e.ne(b, b), e.eq(a, a))) : first;
}

export function argReduceKernel(scope: KernelScope, id: NodeId): Draft {
  const { k, elements } = scope;
  const { attrs: { kind, axis }, inputs } = scope.graph.nodes[id] as NodeOf<"arg_reduce">;
  const x = elements.type(inputs[0]!);
  overShape(scope, elements.type(id).shape, 1, () => {}, row => {
    const at = (i: Size): Size[] => [...row.slice(0, axis), i, ...row.slice(axis)];
    const best = k.mutable("best", elements.unlessEmpty([x.shape[axis]!], x, 1, () => elements.value(inputs[0]!, at(0), 1)));
    const which = k.mutable("which", e.constant("i32", 0));
    k.for_("i", x.shape[axis]!, i => elements.scoped(() => {
      const value = k.let_("v", elements.value(inputs[0]!, at(i), 1));
      const better = x.dtype === "bool" ? (kind === "max" ? e.and(value, e.not(best)) : e.and(best, e.not(value))) : precedes(value, best, kind === "max", isFloat(x.dtype));
      k.if_(better, () => {
        k.assign(best, value);
        k.assign(which, e.index(i));
      });
    }), { from: 1 });
    scope.storeAll([{ value: id, compute: () => e.cast("i32", which) }], row, 1);
  });
  return scope.finish(productSize(x.shape));
}

/** A row at a time: merges runs of 1, 2, 4, … between two local rows; stable. Stores the first `keep` of each row. */
export function sortKernel(scope: KernelScope, id: NodeId, outputs: { readonly values: ValueId; readonly ids: ValueId }): Draft {
  const { k, elements } = scope;
  const node = scope.graph.nodes[id] as NodeOf<"sort" | "topk">;
  const descending = node.op === "topk" || (node.attrs as NodeOf<"sort">["attrs"]).descending;
  const { axis } = node.attrs;
  const from = node.inputs[0]!;
  const x = elements.type(from);
  const n = x.shape[axis]!;
  const keep = node.op === "topk" ? (node.attrs as NodeOf<"topk">["attrs"]).k : n;
  const rows = x.shape.filter((_, i) => i !== axis);
  const scalar = REGISTER_TYPE[x.dtype];
  const dtype = scalar === "bool" ? "bool" : scalar;
  const sortRow = (row: readonly Size[]): void => {
    const at = (i: Size): Size[] => [...row.slice(0, axis), i, ...row.slice(axis)];
    const values = k.alloc("values", dtype, [2, n], "local");
    const ids = k.alloc("ids", "i32", [2, n], "local");
    k.for_("i", n, i => elements.scoped(() => {
      k.store(values, [0, i], elements.value(from, at(i), 1));
      k.store(ids, [0, i], e.index(i));
    }));
    const source = k.mutable("source", e.constant("i32", 0));
    const width = k.mutable("width", e.constant("i32", 1));
    k.while_(e.lt(width, e.index(n)), () => {
      const start = k.mutable("start", e.constant("i32", 0));
      const s = k.index("s", e.min(e.max(source, 0), 1));
      k.while_(e.lt(start, e.index(n)), () => {
        const middle = k.let_("middle", e.min(e.add(start, width), e.index(n)));
        const end = k.let_("end", e.min(e.add(middle, width), e.index(n)));
        const [i, j, to] = [k.mutable("left", start), k.mutable("right", middle), k.mutable("to", start)];
        k.while_(e.lt(to, end), () => {
          const [left, right] = [i, j].map(p => k.index("p", clampedId(p, n))) as [Size, Size];
          const [a, b] = [k.load(values, [s, left]), k.load(values, [s, right])];
          const rightFirst = x.dtype === "bool" ? (descending ? e.and(b, e.not(a)) : e.and(a, e.not(b))) : precedes(b, a, descending, isFloat(x.dtype));
          const takeRight = k.let_("take", e.and(e.lt(j, end), e.or(e.ge(i, middle), rightFirst)));
          const slot = k.index("slot", clampedId(to, n));
          const target = k.index("t", e.sub(1, e.index(s)));
          k.store(values, [target, slot], e.select(takeRight, b, a));
          k.store(ids, [target, slot], e.select(takeRight, k.load(ids, [s, right]), k.load(ids, [s, left])));
          const step = k.let_("step", e.select(takeRight, e.constant("i32", 1), 0));
          k.assign(j, e.add(j, step));
          k.assign(i, e.add(i, e.sub(1, step)));
          k.assign(to, e.add(to, 1));
        });
        k.assign(start, e.add(start, e.mul(width, 2)));
      });
      k.assign(source, e.sub(1, source));
      k.assign(width, e.mul(width, 2));
    });
    const sorted = k.index("sorted", e.min(e.max(source, 0), 1));
    k.for_("i", keep, i => {
      k.store(scope.output(outputs.values), at(i), k.load(values, [sorted, i]));
      k.store(scope.output(outputs.ids), at(i), k.load(ids, [sorted, i]));
    });
  };
  overShape(scope, rows, 1, () => {}, row => (elements.mayBeEmpty(n) ? k.if_(e.lt(e.index(0), e.index(n)), () => sortRow(row)) : sortRow(row)));
  return scope.finish(mulSize(20, productSize(x.shape)));
}

export function searchSortedKernel(scope: KernelScope, id: NodeId): Draft {
  const { k, elements } = scope;
  const { inputs } = scope.graph.nodes[id] as NodeOf<"search_sorted">;
  const n = elements.type(inputs[0]!).shape[0]!;
  const { shape } = elements.type(id);
  const compare = elements.type(inputs[0]!).dtype === "bool";
  overShape(scope, shape, 1, () => {}, at => {
    const value = k.let_("v", elements.value(inputs[1]!, at, 1));
    const [low, high] = [k.mutable("low", e.constant("i32", 0)), k.mutable("high", e.index(n))];
    k.while_(e.lt(low, high), () => elements.scoped(() => {
      const middle = k.let_("middle", e.shr(e.add(low, high), 1));
      const list = elements.type(inputs[0]!);
      const item = elements.unlessEmpty([n], list, 1, () => elements.value(inputs[0]!, [k.index("p", clampedId(middle, n))], 1));
      const below = k.let_("below", compare ? e.and(value, e.not(item)) : e.lt(item, value));
      k.assign(low, e.select(below, e.add(middle, 1), low));
      k.assign(high, e.select(below, high, middle));
    }));
    scope.storeAll([{ value: id, compute: () => e.cast("i32", low) }], at, 1);
  });
  return scope.finish(mulSize(32, productSize(shape)));
}

/** Puts the parts of a scatter into its output, which already holds x: in the order of the ids, so that results do not depend on threads. */
export function scatterKernel(scope: KernelScope, id: NodeId): Draft {
  const { k, elements } = scope;
  const { attrs: { kind, axis, batch }, inputs } = scope.graph.nodes[id] as NodeOf<"scatter">;
  const [ids, part] = [inputs[1]!, inputs[2]!];
  const type = elements.type(id);
  const idShape = elements.type(ids).shape.slice(batch);
  const out = scope.output(id, "readwrite");
  const outer = type.shape.slice(0, axis).map((extent, i) => k.grid(`n${i}`, extent));
  const rest = type.shape.slice(axis + 1);
  const extent = type.shape[axis]!;
  // Elements of one place go in the order of the ids, whoever has them.
  const own = k.simd.tasks === "elements" ? rest.map((extent, i) => k.grid(`r${i}`, extent)) : null;
  // That an unsigned id lies below the extent does not show the verifier that the extent is above zero.
  const belowUnsigned = (given: Expr): Expr => {
    const below = e.lt(given, e.bitcast("u32", e.index(extent)));
    return elements.mayBeEmpty(extent) ? e.and(e.lt(e.index(0), e.index(extent)), below) : below;
  };
  const each = (index: readonly Size[]): void => {
    const given = k.let_("id", elements.value(ids, [...outer.slice(0, batch), ...index], 1));
    const inRange = typeOf(given).scalar === "u32" ? belowUnsigned(given) : e.and(e.ge(given, 0), e.lt(given, e.index(extent)));
    k.if_(inRange, () => {
      const row = k.index("row", clampedId(given, extent));
      const every = own ? (body: (inner: readonly Size[], lanes: number) => void) => body(own, 1) : (body: (inner: readonly Size[], lanes: number) => void) => everyIndex(scope, rest, lanesFor(scope, [id]), body);
      every((inner, lanes) => elements.scoped(() => {
        const at = [...outer, row, ...inner];
        const value = k.let_("v", elements.value(part, [...outer, ...index, ...inner], lanes));
        const merged = kind === "set" ? value : combine(kind === "add" ? "sum" : kind, elements.load(out, at, lanes), e.splat(value, lanes));
        elements.store(out, at, merged, lanes);
      }));
    });
  };
  const nest = (index: readonly Size[]): void => {
    if (index.length === idShape.length) elements.scoped(() => each(index));
    else k.for_("i", idShape[index.length]!, i => nest([...index, i]));
  };
  nest([]);
  return scope.finish(productSize(elements.type(part).shape));
}

/** Writes the part of a dynamic update into its output, which already holds x. */
export function updateKernel(scope: KernelScope, id: NodeId): Draft {
  const { elements } = scope;
  const { attrs: { axes }, inputs } = scope.graph.nodes[id] as NodeOf<"dynamic_update">;
  const part = inputs[1]!;
  const [whole, shape] = [elements.type(id).shape, elements.type(part).shape];
  const out = scope.output(id);
  const starts = new Map<number, Size>();
  overShape(scope, shape, lanesFor(scope, [id]), () => {
    axes.forEach((axis, i) => starts.set(axis, elements.start(inputs[i + 2]!, shape[axis]!, whole[axis]!)));
    scope.hoistScalars([part]);
  }, (at, lanes) => elements.scoped(() => {
    const value = scope.elements.value(part, at, lanes);
    elements.store(out, at.map((x, i) => addSize(x, starts.get(i) ?? 0)), value, lanes);
  }));
  return scope.finish(productSize(shape));
}

