// An order of works: each after what it depends on, otherwise as they were given.
import { InternalError } from "../base/diagnostics.ts";

export class Order {
  readonly #after: Set<number>[];

  constructor(count: number) {
    this.#after = Array.from({ length: count }, () => new Set());
  }

  /** `first` runs before `second`. */
  add(first: number, second: number): void {
    if (first !== second) this.#after[first]!.add(second);
  }

  /** Whether `to` depends on `from`, however indirectly. */
  reaches(from: number, to: number): boolean {
    const seen = new Set<number>([from]);
    const open = [from];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (next === to) return true;
      for (const n of this.#after[next]!) if (!seen.has(n)) {
        seen.add(n);
        open.push(n);
      }
    }
    return false;
  }

  sorted(): number[] {
    const waits = new Array<number>(this.#after.length).fill(0);
    for (const list of this.#after) for (const n of list) waits[n]!++;
    const ready = waits.flatMap((n, i) => (n === 0 ? [i] : [])).reverse();
    const order: number[] = [];
    for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
      order.push(next);
      const freed = [...this.#after[next]!].filter(n => --waits[n]! === 0).sort((a, b) => b - a);
      for (const n of freed) insert(ready, n);
    }
    if (order.length !== this.#after.length) throw new InternalError("works depend on each other in a circle");
    return order;
  }
}

/** Keeps a descending list sorted. */
function insert(list: number[], x: number): void {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]! > x) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, x);
}
