// The kinds of files that readers are given, and what is made of each: `ok` with a checksum of what was read, which the readers
// of both runtimes have in common, or the code of the refusal. Whatever else a reader throws is a fault of it.
import type { DType } from "../../../compiler/base/dtypes.ts";
import { SluiceError } from "../../../compiler/base/diagnostics.ts";
import { crc32c } from "../../../compiler/container/checksum.ts";
import { readContainer } from "../../../compiler/container/read.ts";
import { pictureOf } from "../../../runtime/io/node-files.ts";
import { readNpy } from "../../../runtime/io/npy.ts";
import { readSafetensors } from "../../../runtime/io/safetensors.ts";
import { bytesOf, type HostTensor, shapeText } from "../../../runtime/tensor.ts";

export const KINDS = ["container", "safetensors", "npy", "picture"] as const;
export type FileKind = (typeof KINDS)[number];

/** In the order of the native runtime. */
export const WANTED: readonly DType[] = ["f64", "f32", "f16", "bf16", "i32", "i16", "i8", "i4", "u32", "u16", "u8", "bool"];

/** A file and the dtype that is wanted of it. */
export interface Mutated {
  readonly kind: FileKind;
  readonly wanted: DType;
  readonly bytes: Uint8Array;
}

/** A sentence of what happened, `SAFE001` or `ok:123`. */
export async function answerTo({ kind, wanted, bytes }: Mutated): Promise<string> {
  try {
    return `ok:${crc32c(new TextEncoder().encode(await readAs(kind, wanted, bytes)))}`;
  } catch (error) {
    if (error instanceof SluiceError) return error.diagnostic.code;
    throw error;
  }
}

const summary = (t: HostTensor): string => `${t.dtype} ${shapeText(t.shape)} ${crc32c(bytesOf(t))}`;

async function readAs(kind: FileKind, wanted: DType, bytes: Uint8Array): Promise<string> {
  switch (kind) {
    case "container": {
      const container = readContainer(bytes);
      await codeOf(() => container.compiled());
      return container.program.name;
    }
    case "npy": return summary(readNpy("x.npy", bytes, wanted));
    case "picture": {
      const { width, height } = await pictureOf("x.png", bytes);
      return `${width} x ${height}`;
    }
    case "safetensors": {
      const file = readSafetensors("x.safetensors", bytes);
      const tensors = await Promise.all(file.names.map(async name => `${name} ${await codeOf(() => summary(file.find(name)!))}\n`));
      const metadata = Object.entries(file.metadata()).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      return tensors.join("") + metadata.map(([key, text]) => `${key} ${text}\n`).join("");
    }
  }
}

/** What the work gives, or the code of its refusal. */
async function codeOf(work: () => unknown): Promise<string> {
  try {
    return String(work());
  } catch (error) {
    if (error instanceof SluiceError) return error.diagnostic.code;
    throw error;
  }
}
