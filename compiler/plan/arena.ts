// Places of an entry's buffers: those whose lives do not overlap share a slot. Sizes are expressions in the dims, so a slot
// is as large as the largest of its buffers, whatever the values of the dims.
import { DTYPES } from "../base/dtypes.ts";
import { addSize, type DimDecl, evaluateSize, floorDivSize, maxSize, mulSize, productSize, type Size } from "../base/sizes.ts";
import type { BufferId, ScheduleBuffer, Step } from "./schedule.ts";
import { SLOT_ALIGNMENT as ALIGNMENT } from "./slots.ts";

/** Bytes of a buffer, rounded up to the alignment. */
export function alignedBytes({ dtype, shape }: Pick<ScheduleBuffer, "dtype" | "shape">): Size {
  const bits = mulSize(DTYPES[dtype].bits, productSize(shape));
  return mulSize(ALIGNMENT, floorDivSize(addSize(bits, 8 * ALIGNMENT - 1), 8 * ALIGNMENT));
}

/** The steps with every buffer renamed. */
export function renameBuffers(steps: readonly Step[], name: (b: BufferId) => BufferId): Step[] {
  return steps.map((s): Step => {
    switch (s.kind) {
      case "launch": return { ...s, buffers: s.buffers.map(name) };
      case "copy": return { ...s, from: name(s.from), to: name(s.to) };
      case "loop": return { ...s, index: name(s.index), until: s.until === null ? null : name(s.until), body: renameBuffers(s.body, name) };
      case "print": case "assert": return { ...s, buffer: name(s.buffer) };
    }
  });
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

/** The slots of the buffers that have no other place, and their sizes. */
export function shareSlots(
  buffers: readonly Pick<ScheduleBuffer, "dtype" | "shape">[], needsSlot: (b: BufferId) => boolean, steps: readonly Step[],
  inputs: readonly BufferId[], outputs: readonly BufferId[], dims: readonly DimDecl[],
): { readonly slotOf: ReadonlyMap<BufferId, number>; readonly slots: readonly Size[] } {
  const lives = livesOf(steps, inputs, outputs);
  const likely = Object.fromEntries(dims.map(d => [d.name, d.max]));
  const slots: { size: Size; likely: number; free: number }[] = [];
  const slotOf = new Map<BufferId, number>();
  const order = [...lives].filter(([b]) => needsSlot(b)).sort(([, a], [, b]) => a.first - b.first);
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
  return { slotOf, slots: slots.map(s => s.size) };
}
