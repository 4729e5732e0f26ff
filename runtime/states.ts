// Whether each state of a program has a value. Both machines ask it before an entry runs and tell it afterwards: a state
// without a value is made by its init or refused, and one that an entry may have half written is refused until it is set.
import { SluiceError } from "../compiler/base/diagnostics.ts";
import type { Span } from "../compiler/base/span.ts";
import type { TensorType } from "../compiler/graph/graph.ts";
import { named } from "./arguments.ts";

interface StateInfo {
  readonly name: string;
  readonly type: TensorType;
  readonly span: Span | null;
}

export class StateTable<S extends StateInfo> {
  readonly #declared: ReadonlyMap<string, S>;
  readonly #ready = new Set<string>();
  /** By the entry that failed. */
  readonly #lost = new Map<string, string>();

  constructor(states: readonly S[]) {
    this.#declared = new Map(states.map(s => [s.name, s]));
  }

  declaration(name: string): S {
    return named("state", "STATE104", name, this.#declared);
  }

  /** Returns once the state has a value. `first` makes it and says whether it could; `reader` is null outside entries. */
  prepare(name: string, reader: string | null, first: (state: S) => boolean): void {
    if (this.#ready.has(name)) return;
    const state = this.declaration(name);
    const culprit = this.#lost.get(name);
    if (culprit !== undefined) {
      throw new SluiceError({
        code: "STATE102", span: state.span, message: `state \`${name}\` may be half written, because \`${culprit}\` failed while it ran`, hint: "load it again, or open the program anew",
      });
    }
    if (!first(state)) {
      throw new SluiceError({
        code: "STATE101", span: state.span, message: `${reader === null ? "reading" : `\`${reader}\` reads`} state \`${name}\` before it has a value`,
        expected: "a first value, or a load or write before it",
      });
    }
    this.wrote([name]);
  }

  wrote(names: readonly string[]): void {
    for (const name of names) {
      this.#ready.add(name);
      this.#lost.delete(name);
    }
  }

  failed(entry: string, written: readonly string[]): void {
    for (const name of written) {
      this.#ready.delete(name);
      this.#lost.set(name, entry);
    }
  }
}
