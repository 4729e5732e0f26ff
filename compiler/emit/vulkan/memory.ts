// Elements in memory: global buffers and scratch by device addresses, where unsigned integers of the dtype's width lie, so
// that loads widen and stores round and wrap; shared and small local buffers as arrays of what registers hold, rounded.
import { InternalError } from "../../base/diagnostics.ts";
import { type DType, DTYPES } from "../../base/dtypes.ts";
import { REGISTER_TYPE } from "../../kernel/ir.ts";
import { typeOfScalar } from "./arithmetic.ts";
import { type Assembler, CAPABILITY, DECORATION, type Id, OP, STORAGE } from "./assembler.ts";
import { brainOfFloat, floatOfBrain, floatOfHalf, halfOfFloat } from "./halves.ts";
import type { Features } from "./features.ts";
import type { Width } from "./sizes.ts";

type Bits = 8 | 16 | 32 | 64;
/** Of the integers that memory holds; two i4 lie in a byte. */
export const storageBits = (d: DType): Bits => (d === "i4" ? 8 : (DTYPES[d].bits as Bits));

/** Where a buffer's first element lies. */
export interface Home {
  readonly dtype: DType;
  readonly pointer: Id;
  readonly storage: number;
  /** Of what has one, as an integer. */
  readonly address?: Id;
  /** Shared memory that holds what global memory would. */
  readonly isRaw?: boolean;
}

/** A block without an end of integers, or of what is as wide. */
function blockOf(m: Assembler, bits: Bits, element = m.int(bits)): Id {
  const array = m.global(OP.TypeRuntimeArray, [element], { decorate: id => m.decorate(id, DECORATION.ArrayStride, bits / 8) });
  return m.global(OP.TypeStruct, [array], {
    decorate(id) {
      m.decorate(id, DECORATION.Block);
      m.decorateMember(id, 0, DECORATION.Offset, 0);
    },
  });
}

/** A buffer at the address, an integer of 64 bits. */
export function homeAt(m: Assembler, dtype: DType, address: Id): Home {
  const bits = storageBits(dtype);
  return { dtype, pointer: m.value(OP.ConvertUToPtr, m.pointer(STORAGE.PhysicalStorageBuffer, blockOf(m, bits)), address), storage: STORAGE.PhysicalStorageBuffer, address };
}

/** Word `index` of an argument block. */
export function argument(m: Assembler, block: Id, index: number): Id {
  return m.value(OP.Load, m.int(64), pointerTo(m, { dtype: "f64", pointer: block, storage: STORAGE.PhysicalStorageBuffer }, m.constantInt(32, index)), ALIGNED, 8);
}

const ALIGNED = 2;
const DEVICE_SCOPE = 1;
const RELAXED = 0;
const isGlobal = ({ storage }: Home): boolean => storage === STORAGE.PhysicalStorageBuffer;
const isRaw = (home: Home): boolean => home.isRaw === true || isGlobal(home);

/** An array of integers of the dtype's width that a workgroup shares. */
export function rawArray(m: Assembler, dtype: DType, elements: number): Id {
  const bits = storageBits(dtype);
  if (bits < 32) m.needs(bits === 8 ? CAPABILITY.Int8 : CAPABILITY.Int16);
  return m.global(OP.TypeArray, [m.int(bits), m.constantInt(32, elements)]);
}

export function pointerTo(m: Assembler, home: Home, index: Id): Id {
  const { dtype, pointer, storage } = home;
  if (home.isRaw) return m.value(OP.AccessChain, m.pointer(storage, m.int(storageBits(dtype))), pointer, index);
  if (!isGlobal(home)) return m.value(OP.AccessChain, m.pointer(storage, typeOfScalar(m, REGISTER_TYPE[dtype])), pointer, index);
  return m.value(OP.AccessChain, m.pointer(storage, m.int(storageBits(dtype))), pointer, m.constantInt(32, 0), index);
}
/** Operands of an access: nothing, or a mask and what its bits want. */
export function access(m: Assembler, home: Home): number[] {
  if (isGlobal(home)) return [ALIGNED | m.nonPrivate, storageBits(home.dtype) / 8];
  return home.storage === STORAGE.Workgroup && m.nonPrivate !== 0 ? [m.nonPrivate] : [];
}

/** An element of i4: its byte, and how far its bits are shifted. */
function nibble(m: Assembler, index: Id, width: Width): { readonly byte: Id; readonly shift: Id } {
  const type = m.int(width);
  const odd = m.value(OP.BitwiseAnd, type, index, m.constantInt(width, 1));
  const narrow = width === 32 ? odd : m.value(OP.UConvert, m.int(32), odd);
  return { byte: m.value(OP.ShiftRightLogical, type, index, m.constantInt(width, 1)), shift: m.value(OP.ShiftLeftLogical, m.int(32), narrow, m.constantInt(32, 2)) };
}

/** The element, as registers hold it. */
export function load(m: Assembler, home: Home, index: Id, width: Width): Id {
  const { dtype } = home;
  const word = m.int(32);
  if (!isRaw(home)) return m.value(OP.Load, typeOfScalar(m, REGISTER_TYPE[dtype]), pointerTo(m, home, index), ...access(m, home));
  const raw = (at: Id): Id => m.value(OP.Load, m.int(storageBits(dtype)), pointerTo(m, home, at), ...access(m, home));
  switch (dtype) {
    case "f64": return m.value(OP.Bitcast, m.float(64), raw(index));
    case "f32": return m.value(OP.Bitcast, m.float(32), raw(index));
    case "i32": case "u32": return raw(index);
    case "i8": case "i16": return m.value(OP.SConvert, word, raw(index));
    case "u8": case "u16": return m.value(OP.UConvert, word, raw(index));
    case "bool": return m.value(OP.INotEqual, m.bool(), m.value(OP.UConvert, word, raw(index)), m.constantInt(32, 0));
    case "f16": return floatOfHalf(m, m.value(OP.UConvert, word, raw(index)));
    case "bf16": return floatOfBrain(m, m.value(OP.UConvert, word, raw(index)));
    case "i4": {
      const { byte, shift } = nibble(m, index, width);
      const low = m.value(OP.ShiftRightLogical, word, m.value(OP.UConvert, word, raw(byte)), shift);
      return signExtended(m, low, 4);
    }
  }
}

function signExtended(m: Assembler, x: Id, bits: number): Id {
  const by = m.constantInt(32, 32 - bits);
  return m.value(OP.ShiftRightArithmetic, m.int(32), m.value(OP.ShiftLeftLogical, m.int(32), x, by), by);
}

export function store(m: Assembler, home: Home, index: Id, width: Width, value: Id): void {
  const { dtype } = home;
  const word = m.int(32);
  const bits = storageBits(dtype);
  if (!isRaw(home)) {
    m.act(OP.Store, pointerTo(m, home, index), rounded(m, dtype, value), ...access(m, home));
    return;
  }
  const write = (at: Id, raw: Id): void => m.act(OP.Store, pointerTo(m, home, at), raw, ...access(m, home));
  const narrow = (x: Id): Id => (bits < 32 ? m.value(OP.UConvert, m.int(bits), x) : x);
  switch (dtype) {
    case "f64": case "f32": write(index, m.value(OP.Bitcast, m.int(bits as 32 | 64), value)); return;
    case "bool": write(index, narrow(m.value(OP.Select, word, value, m.constantInt(32, 1), m.constantInt(32, 0)))); return;
    case "f16": write(index, narrow(halfOfFloat(m, value))); return;
    case "bf16": write(index, narrow(brainOfFloat(m, value))); return;
    case "i4": storeNibble(m, home, index, width, value); return;
    default: write(index, narrow(value));
  }
}

/** Other threads may write the other nibbles of the word at the same time, so that no store of a byte will do. */
function storeNibble(m: Assembler, { address }: Home, index: Id, width: Width, value: Id): void {
  const word = m.int(32);
  const place = m.value(OP.BitwiseAnd, m.int(width), index, m.constantInt(width, 7));
  const shift = m.value(OP.ShiftLeftLogical, word, width === 32 ? place : m.value(OP.UConvert, word, place), m.constantInt(32, 2));
  const mask = m.value(OP.ShiftLeftLogical, word, m.constantInt(32, 15), shift);
  const own = m.value(OP.ShiftLeftLogical, word, m.value(OP.BitwiseAnd, word, value, m.constantInt(32, 15)), shift);
  const pointer = pointerTo(m, homeAt(m, "u32", address!), m.value(OP.ShiftRightLogical, m.int(width), index, m.constantInt(width, 3)));
  const [scope, relaxed] = [m.constantInt(32, DEVICE_SCOPE), m.constantInt(32, RELAXED)];
  m.value(OP.AtomicAnd, word, pointer, scope, relaxed, m.value(OP.Not, word, mask));
  m.value(OP.AtomicOr, word, pointer, scope, relaxed, own);
}

/** The value as the dtype holds it. */
export function rounded(m: Assembler, dtype: DType, value: Id): Id {
  const { bits, kind } = DTYPES[dtype];
  if (dtype === "f16") return floatOfHalf(m, halfOfFloat(m, value));
  if (dtype === "bf16") return floatOfBrain(m, brainOfFloat(m, value));
  if (bits >= 32 || kind === "bool") return value;
  return kind === "signed" ? signExtended(m, value, bits) : m.value(OP.BitwiseAnd, m.int(32), value, m.constantInt(32, 2 ** bits - 1));
}

const ATOMIC = { i32: { add: OP.AtomicIAdd, min: OP.AtomicSMin, max: OP.AtomicSMax }, u32: { add: OP.AtomicIAdd, min: OP.AtomicUMin, max: OP.AtomicUMax } } as const;

/** An update of an element that other threads may update too, but for its arithmetic. */
export interface Update {
  readonly op: "add" | "max" | "min";
  readonly home: Home;
  readonly index: Id;
  readonly value: Id;
}

/** Integers by an instruction, and sums of f32 where the device has one; other floats are exchanged until they were met unchanged. */
export function atomic(m: Assembler, { op, home, index, value }: Update, features: Features, combine: (a: Id, b: Id) => Id, repeat: (body: () => Id) => void): void {
  const { dtype } = home;
  const isInteger = dtype === "i32" || dtype === "u32";
  if (!(isInteger && home.storage === STORAGE.Workgroup) && (!isGlobal(home) || !(isInteger || dtype === "f32" || dtype === "f64"))) throw new InternalError(`atomic on ${dtype} that other threads do not see, or of that width`);
  const bits = dtype === "f64" ? 64 : 32;
  if (bits === 64) m.needs(CAPABILITY.Int64Atomics);
  const pointer = pointerTo(m, home, index);
  const word = m.int(bits);
  const [scope, relaxed] = [m.constantInt(32, DEVICE_SCOPE), m.constantInt(32, RELAXED)];
  if (isInteger) {
    m.value(ATOMIC[dtype][op], word, pointer, scope, relaxed, value);
    return;
  }
  if (dtype === "f32" && op === "add" && features.use("atomicAddF32")) {
    m.needs(CAPABILITY.AtomicFloat32AddEXT, "SPV_EXT_shader_atomic_float_add");
    const floats = m.value(OP.ConvertUToPtr, m.pointer(STORAGE.PhysicalStorageBuffer, blockOf(m, 32, m.float(32))), home.address!);
    const element = m.value(OP.AccessChain, m.pointer(STORAGE.PhysicalStorageBuffer, m.float(32)), floats, m.constantInt(32, 0), index);
    m.value(OP.AtomicFAddEXT, m.float(32), element, scope, relaxed, value);
    return;
  }
  const seen = m.variable(word);
  m.act(OP.Store, seen, m.value(OP.AtomicLoad, word, pointer, scope, relaxed));
  repeat(() => {
    const before = m.value(OP.Load, word, seen);
    const after = m.value(OP.Bitcast, word, combine(m.value(OP.Bitcast, m.float(bits), before), value));
    const found = m.value(OP.AtomicCompareExchange, word, pointer, scope, relaxed, relaxed, after, before);
    m.act(OP.Store, seen, found);
    return m.value(OP.INotEqual, m.bool(), found, before);
  });
}
