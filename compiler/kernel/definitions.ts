// What names stand for while a kernel is walked: blocks take back what they have defined.

export class Definitions {
  /** How to take back what the current block has defined. */
  #undo: (() => void)[] = [];

  /** From here on the name has the value, or none. */
  define<T>(map: Map<string, T>, name: string, value: T | undefined): void {
    const before = map.get(name);
    if (value === undefined) {
      if (before === undefined) return;
      map.delete(name);
    } else map.set(name, value);
    this.#undo.push(() => {
      if (before === undefined) map.delete(name);
      else map.set(name, before);
    });
  }

  /** What is defined within is taken back after it. */
  block(write: () => void): void {
    const outer = this.#undo;
    this.#undo = [];
    write();
    for (const undo of this.#undo.reverse()) undo();
    this.#undo = outer;
  }
}
