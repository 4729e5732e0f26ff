// The kernels of a container as text that a person can open: C for cpu modules, CUDA C++ for cuda modules, in a file each, with
// the summary of each kernel and the user's lines. Other modules have no text.
import type { Container } from "../container/read.ts";
import { emitC } from "./cpu/source.ts";
import { HEADER, HEADER_FILE } from "./cuda/header.ts";
import { emitCuda } from "./cuda/source.ts";

export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

export function sourcesOf({ modules, compiled }: Container): SourceFile[] {
  const { lowerings } = compiled();
  return modules.flatMap((m): SourceFile[] => {
    const { kernels } = lowerings[m.lowering]!;
    switch (m.kind) {
      case "cpu": {
        const { units } = emitC(kernels, { level: m.level, features: m.features, units: 1, intrinsics: true });
        return [{ name: `${["cpu", m.level, ...m.features].join("-")}.c`, text: units[0]! }];
      }
      case "cuda": return [{ name: "cuda.cu", text: emitCuda(kernels, { units: 1 }).units[0]! }, { name: HEADER_FILE, text: HEADER }];
      default: return [];
    }
  });
}
