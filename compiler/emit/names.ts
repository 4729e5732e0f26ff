// What the names of sizes stand for while a kernel is written, for every emitter: variables of the target or other sizes.
import { InternalError } from "../base/diagnostics.ts";
import { type Range, type Size, sizeRange, substituteSize } from "../base/sizes.ts";
import type { Buffer, Expr } from "../kernel/ir.ts";

/** A name that sizes may use: a variable, of which the target knows more, or another size. */
export type SizeName<V> = ({ readonly kind: "variable"; readonly range: Range } & V) | { readonly kind: "size"; readonly size: Size };

export class SizeNames<V> {
  readonly names = new Map<string, SizeName<V>>();

  /** Throws InternalError for a name that is not defined here. */
  protected meaning(name: string): SizeName<V> {
    const known = this.names.get(name);
    if (!known) throw new InternalError(`${name} is used in a size before it is defined`);
    return known;
  }

  /** The size in names that are variables. */
  resolve(s: Size): Size {
    if (typeof s === "number") return s;
    return substituteSize(s, name => {
      const known = this.meaning(name);
      return known.kind === "size" ? known.size : undefined;
    });
  }
  /** The constant that the size is; undefined if it is none. */
  constant(s: Size): number | undefined {
    const resolved = this.resolve(s);
    return typeof resolved === "number" ? resolved : undefined;
  }
  /** Of a size in variables alone. */
  range(resolved: Size): Range {
    return sizeRange(resolved, name => {
      const known = this.meaning(name);
      return known.kind === "variable" ? known.range : undefined;
    });
  }
}

/** The element of a register buffer at an index, whose parts are constants by now. */
export function registerElement<E>({ buffer, elements }: { readonly buffer: Buffer; readonly elements: readonly E[] }, index: readonly Expr[], constant: (s: Size) => number | undefined): E {
  let flat = 0;
  index.forEach((e, axis) => {
    const i = e.kind === "size" ? constant(e.size) : e.kind === "const" ? e.value : undefined;
    const extent = buffer.shape[axis];
    if (i === undefined || typeof extent !== "number") throw new InternalError(`registers ${buffer.name} are indexed by what is no constant`);
    flat = flat * extent + i;
  });
  const element = elements[flat];
  if (element === undefined) throw new InternalError(`registers ${buffer.name} have no element ${flat}`);
  return element;
}
