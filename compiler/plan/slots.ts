// Where the slots of a schedule lie once its dims are bound: one behind the other.
import type { Size } from "../base/sizes.ts";

/** Kernels may load whole vectors from the start of a buffer. */
export const SLOT_ALIGNMENT = 64;

export interface PlacedSlots {
  /** Where each starts, in bytes, and how many it has: a multiple of the alignment. */
  readonly starts: readonly number[];
  readonly sizes: readonly number[];
  /** Of all of them. */
  readonly bytes: number;
}

/** `size` gives the value of a slot's size, an integer of at least 0. */
export function placeSlots(slots: readonly Size[], size: (s: Size) => number): PlacedSlots {
  const sizes = slots.map(s => Math.ceil(size(s) / SLOT_ALIGNMENT) * SLOT_ALIGNMENT);
  const starts: number[] = [];
  let bytes = 0;
  for (const each of sizes) {
    starts.push(bytes);
    bytes += each;
  }
  return { starts, sizes, bytes };
}
