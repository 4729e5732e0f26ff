// Places in an entry's arena: buffers whose lives do not overlap share a slot. Sizes are expressions in the dims, so a slot
// is as large as the largest of its buffers, and offsets are sums of slots, true for every value of the dims.
import { DTYPES } from "../base/dtypes.ts";
import { addSize, type DimDecl, evaluateSize, floorDivSize, maxSize, mulSize, productSize, type Size } from "../base/sizes.ts";
import type { BufferId, ScheduleBuffer, Step } from "./schedule.ts";

const ALIGNMENT = 64;

/** Bytes of a buffer, rounded up to the alignment. */
export function alignedBytes({ dtype, shape }: Pick<ScheduleBuffer, "dtype" | "shape">): Size {
  const bits = mulSize(DTYPES[dtype].bits, productSize(shape));
  return mulSize(ALIGNMENT, floorDivSize(addSize(bits, 8 * ALIGNMENT - 1), 8 * ALIGNMENT));
}

export interface Life {
  first: number;
  last: number;
}

/**
 * When each buffer is used, in steps counted in order: inputs from before the first, outputs until after the last. What is used
 * in a loop and outside it lives as long as the loop.
 */
export function livesOf(steps: readonly Step[], inputs: readonly BufferId[], outputs: readonly BufferId[]): Map<BufferId, Life> {
  const lives = new Map<BufferId, Life>();
  let now = 0;
  const touch = (b: BufferId): void => {
    const life = lives.get(b);
    if (life) life.last = now;
    else lives.set(b, { first: now, last: now });
  };
  const loops: { start: number; end: number }[] = [];
  const walk = (list: readonly Step[]): void => {
    for (const s of list) {
      now++;
      if (s.kind === "launch") s.buffers.forEach(touch);
      else if (s.kind === "copy") [s.from, s.to].forEach(touch);
      else if (s.kind === "loop") {
        touch(s.index);
        if (s.until !== null) touch(s.until);
        const start = now;
        walk(s.body);
        now++;
        touch(s.index);
        if (s.until !== null) touch(s.until);
        loops.push({ start, end: now });
      } else touch(s.buffer);
    }
  };
  walk(steps);
  for (const b of inputs) lives.set(b, { first: -1, last: lives.get(b)?.last ?? -1 });
  for (const b of outputs) lives.set(b, { first: lives.get(b)?.first ?? -1, last: Infinity });
  // Inner loops were pushed first; an outer one may stretch a life further.
  for (const { start, end } of loops) {
    for (const life of lives.values()) {
      const isUsedInside = life.first <= end && life.last >= start;
      if (isUsedInside && life.first <= start) life.last = Math.max(life.last, end);
      if (isUsedInside && life.last > end) life.first = Math.min(life.first, start);
    }
  }
  return lives;
}

/** Offsets of the buffers that lie in the arena, and its size. */
export function placeArena(
  buffers: readonly Pick<ScheduleBuffer, "dtype" | "shape">[], isArena: (b: BufferId) => boolean, steps: readonly Step[],
  inputs: readonly BufferId[], outputs: readonly BufferId[], dims: readonly DimDecl[],
): { readonly offsets: ReadonlyMap<BufferId, Size>; readonly arena: Size } {
  const lives = livesOf(steps, inputs, outputs);
  const likely = Object.fromEntries(dims.map(d => [d.name, d.max]));
  const slots: { size: Size; likely: number; free: number }[] = [];
  const slotOf = new Map<BufferId, number>();
  const order = [...lives].filter(([b]) => isArena(b)).sort(([, a], [, b]) => a.first - b.first);
  for (const [b, life] of order) {
    const size = alignedBytes(buffers[b]!);
    const bytes = evaluateSize(size, likely);
    // Of the free slots the one that wastes or grows least.
    let best = -1;
    slots.forEach((s, i) => {
      if (s.free < life.first && (best < 0 || Math.abs(s.likely - bytes) < Math.abs(slots[best]!.likely - bytes))) best = i;
    });
    if (best < 0) {
      best = slots.length;
      slots.push({ size, likely: bytes, free: -2 });
    }
    const slot = slots[best]!;
    slot.size = maxSize(slot.size, size);
    slot.likely = Math.max(slot.likely, bytes);
    slot.free = life.last;
    slotOf.set(b, best);
  }
  const starts: Size[] = [];
  let end: Size = 0;
  for (const s of slots) {
    starts.push(end);
    end = addSize(end, s.size);
  }
  return { offsets: new Map([...slotOf].map(([b, slot]) => [b, starts[slot]!])), arena: end };
}
