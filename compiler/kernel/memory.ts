// Buffers as the interpreter sees them: elements by number over the bytes of an argument or over scratch, with a record of
// who wrote and read each element, so that a read of what nobody wrote, or a race, is an error and not a wrong result.
import { InternalError } from "../base/diagnostics.ts";
import { type DType, DTYPES } from "../base/dtypes.ts";
import { KernelInvariantError } from "./invariant.ts";

/** One buffer at run time. Indices are checked by the caller. */
export interface Memory {
  readonly name: string;
  readonly shape: readonly number[];
  /** Numbers to an element: the lanes of a register buffer. */
  readonly lanes: number;
  get(i: number): number;
  set(i: number, value: number): void;
  readonly log: AccessLog | undefined;
}

const f16Bits = (x: number): number => {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(DTYPES.f16.round(x));
  if (Number.isNaN(size)) return 0x7e00;
  if (size === Infinity) return sign | 0x7c00;
  const exponent = size === 0 ? -15 : Math.max(Math.floor(Math.log2(size)), -15);
  if (exponent < -14) return sign | (size * 2 ** 24);
  return sign | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
};
const f16Value = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
};

type Access = { get(v: DataView, i: number): number; set(v: DataView, i: number, x: number): void };

const ACCESS: { readonly [D in DType]: Access } = {
  f64: { get: (v, i) => v.getFloat64(8 * i, true), set: (v, i, x) => v.setFloat64(8 * i, x, true) },
  f32: { get: (v, i) => v.getFloat32(4 * i, true), set: (v, i, x) => v.setFloat32(4 * i, x, true) },
  f16: { get: (v, i) => f16Value(v.getUint16(2 * i, true)), set: (v, i, x) => v.setUint16(2 * i, f16Bits(x), true) },
  bf16: {
    get: (v, i) => {
      float.setUint32(0, v.getUint16(2 * i, true) << 16);
      return float.getFloat32(0);
    },
    set: (v, i, x) => {
      float.setFloat32(0, DTYPES.bf16.round(x));
      v.setUint16(2 * i, float.getUint32(0) >>> 16, true);
    },
  },
  i32: { get: (v, i) => v.getInt32(4 * i, true), set: (v, i, x) => v.setInt32(4 * i, x, true) },
  i16: { get: (v, i) => v.getInt16(2 * i, true), set: (v, i, x) => v.setInt16(2 * i, x, true) },
  i8: { get: (v, i) => v.getInt8(i), set: (v, i, x) => v.setInt8(i, x) },
  i4: {
    get: (v, i) => (((v.getUint8(i >> 1) >> (4 * (i & 1))) & 15) ^ 8) - 8,
    set: (v, i, x) => v.setUint8(i >> 1, (v.getUint8(i >> 1) & (i & 1 ? 0x0f : 0xf0)) | ((x & 15) << (4 * (i & 1)))),
  },
  u32: { get: (v, i) => v.getUint32(4 * i, true), set: (v, i, x) => v.setUint32(4 * i, x, true) },
  u16: { get: (v, i) => v.getUint16(2 * i, true), set: (v, i, x) => v.setUint16(2 * i, x, true) },
  u8: { get: (v, i) => v.getUint8(i), set: (v, i, x) => v.setUint8(i, x) },
  bool: { get: (v, i) => (v.getUint8(i) === 0 ? 0 : 1), set: (v, i, x) => v.setUint8(i, x === 0 ? 0 : 1) },
};
const float = new DataView(new ArrayBuffer(4));

/** Values as a buffer of the dtype holds them, and back. */
export function encodeElements(dtype: DType, values: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((values.length * DTYPES[dtype].bits) / 8));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) ACCESS[dtype].set(view, i, values[i]!);
  return bytes;
}
export function decodeElements(dtype: DType, bytes: Uint8Array, count: number): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: count }, (_, i) => ACCESS[dtype].get(view, i));
}

export const elementCount = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** An argument: the bytes of the caller's array. */
export function argumentMemory(name: string, dtype: DType, shape: readonly number[], data: ArrayBufferView, log: AccessLog | undefined): Memory {
  const bytes = Math.ceil((elementCount(shape) * DTYPES[dtype].bits) / 8);
  if (data.byteLength < bytes) throw new InternalError(`buffer ${name} needs ${bytes} bytes and got ${data.byteLength}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const { get, set } = ACCESS[dtype];
  return { name, shape, lanes: 1, log, get: i => get(view, i), set: (i, x) => set(view, i, x) };
}

const UNWRITTEN = 0;
const WRITTEN = 1;
const COPYING = 2;

/** Scratch memory, every element of which must be written before it is read. */
export class Scratch implements Memory {
  readonly name: string;
  readonly shape: readonly number[];
  readonly lanes: number;
  readonly log: AccessLog | undefined;
  readonly #values: Float64Array;
  readonly #state: Uint8Array;
  readonly #round: (x: number) => number;

  constructor(name: string, dtype: DType, shape: readonly number[], lanes: number, log: AccessLog | undefined) {
    this.name = name;
    this.shape = shape;
    this.lanes = lanes;
    this.log = log;
    this.#values = new Float64Array(elementCount(shape) * lanes);
    this.#state = new Uint8Array(this.#values.length);
    this.#round = DTYPES[dtype].round;
  }
  get(i: number): number {
    if (this.#state[i] === COPYING) throw new KernelInvariantError(8, `read of ${this.name} at flat index ${i} while a copy into it is under way`);
    if (this.#state[i] === UNWRITTEN) throw new KernelInvariantError(9, `read of ${this.name} at flat index ${i} before anything was written there`);
    return this.#values[i]!;
  }
  set(i: number, value: number): void {
    this.#values[i] = this.#round(value);
    this.#state[i] = WRITTEN;
  }
  /** Makes the element unreadable until it is set: an asynchronous copy is under way. */
  forget(i: number): void {
    this.#state[i] = COPYING;
  }
}

/** Where in time an access is: accesses of two agents are ordered only by a barrier between them. */
export interface Agent {
  /** The grid point. */
  readonly task: number;
  readonly thread: number;
  readonly subgroup: number;
  /** Workgroup barriers passed, and subgroup barriers passed since. */
  epoch: number;
  subgroupEpoch: number;
}

interface Mark {
  task: number;
  thread: number;
  subgroup: number;
  epoch: number;
  subgroupEpoch: number;
  atomic: boolean;
}

/** The last write and the last reads of each element, compared at every access. */
export class AccessLog {
  readonly #writes = new Map<number, Mark>();
  readonly #reads = new Map<number, Mark[]>();

  read(name: string, i: number, by: Agent): void {
    const write = this.#writes.get(i);
    if (write && !ordered(write, by)) throw race(name, i, "read", write, "write", by);
    const reads = this.#reads.get(i);
    if (!reads) {
      this.#reads.set(i, [mark(by, false)]);
      return;
    }
    // Two readers that are not ordered stand for all: whoever writes next is unordered with one of them.
    let kept = 0;
    for (const r of reads) {
      if (sameMoment(r, by)) return;
      if (!ordered(r, by)) reads[kept++] = r;
    }
    if (kept === 2) return;
    reads.length = kept;
    reads.push(mark(by, false));
  }

  write(name: string, i: number, by: Agent, atomic: boolean): void {
    const write = this.#writes.get(i);
    if (write && !ordered(write, by) && !(atomic && write.atomic)) throw race(name, i, "write", write, "write", by);
    const read = this.#reads.get(i)?.find(r => !ordered(r, by));
    if (read) throw race(name, i, "write", read, "read", by);
    this.#writes.set(i, mark(by, atomic));
  }
}

const mark = ({ task, thread, subgroup, epoch, subgroupEpoch }: Agent, atomic: boolean): Mark => ({ task, thread, subgroup, epoch, subgroupEpoch, atomic });
const sameMoment = (a: Mark, b: Agent): boolean => a.task === b.task && a.thread === b.thread && a.epoch === b.epoch && a.subgroupEpoch === b.subgroupEpoch;

function ordered(before: Mark, now: Agent): boolean {
  if (before.task !== now.task) return false;
  if (before.thread === now.thread || before.epoch !== now.epoch) return true;
  return before.subgroup === now.subgroup && before.subgroupEpoch !== now.subgroupEpoch;
}

const who = (a: Pick<Agent, "task" | "thread">): string => `task ${a.task} thread ${a.thread}`;
const race = (name: string, i: number, now: string, before: Mark, was: string, by: Agent): KernelInvariantError =>
  new KernelInvariantError(before.task === by.task ? 7 : 5, `race on ${name} at flat index ${i}: ${now} by ${who(by)} after a ${was} by ${who(before)} with no barrier between`);
