// A SPIR-V module while it is written: types and constants once each, instructions in the sections that the format asks for.
// Numbers are those of the SPIR-V 1.5 specification.

/** The result of an instruction, a type, a block: whatever others refer to. */
export type Id = number;

export const OP = {
  Name: 5, Extension: 10, ExtInstImport: 11, ExtInst: 12, MemoryModel: 14, EntryPoint: 15, ExecutionMode: 16, Capability: 17,
  TypeVoid: 19, TypeBool: 20, TypeInt: 21, TypeFloat: 22, TypeVector: 23, TypeArray: 28, TypeRuntimeArray: 29, TypeStruct: 30, TypePointer: 32, TypeFunction: 33,
  ConstantTrue: 41, ConstantFalse: 42, Constant: 43, ConstantComposite: 44,
  Function: 54, FunctionEnd: 56, Variable: 59, Load: 61, Store: 62, AccessChain: 65, Decorate: 71, MemberDecorate: 72, CompositeConstruct: 80, CompositeExtract: 81,
  ConvertFToU: 109, ConvertFToS: 110, ConvertSToF: 111, ConvertUToF: 112, UConvert: 113, SConvert: 114, FConvert: 115, ConvertUToPtr: 120, Bitcast: 124,
  SNegate: 126, FNegate: 127, IAdd: 128, FAdd: 129, ISub: 130, FSub: 131, IMul: 132, FMul: 133, UDiv: 134, SDiv: 135, FDiv: 136, UMod: 137, SRem: 138,
  UMulExtended: 151, SMulExtended: 152, IsNan: 156, LogicalEqual: 164, LogicalNotEqual: 165, LogicalOr: 166, LogicalAnd: 167, LogicalNot: 168, Select: 169,
  IEqual: 170, INotEqual: 171, UGreaterThan: 172, SGreaterThan: 173, UGreaterThanEqual: 174, SGreaterThanEqual: 175, ULessThan: 176, SLessThan: 177, ULessThanEqual: 178, SLessThanEqual: 179,
  FOrdEqual: 180, FOrdNotEqual: 182, FUnordNotEqual: 183, FOrdLessThan: 184, FOrdGreaterThan: 186, FOrdLessThanEqual: 188, FOrdGreaterThanEqual: 190,
  ShiftRightLogical: 194, ShiftRightArithmetic: 195, ShiftLeftLogical: 196, BitwiseOr: 197, BitwiseXor: 198, BitwiseAnd: 199, Not: 200,
  ControlBarrier: 224, GroupNonUniformShuffleXor: 346, SDotKHR: 4450, AtomicFAddEXT: 6035,
  TypeCooperativeMatrixKHR: 4456, CooperativeMatrixLoadKHR: 4457, CooperativeMatrixStoreKHR: 4458, CooperativeMatrixMulAddKHR: 4459,
  TypeCooperativeMatrixNV: 5358, CooperativeMatrixLoadNV: 5359, CooperativeMatrixStoreNV: 5360, CooperativeMatrixMulAddNV: 5361, AtomicLoad: 227, AtomicCompareExchange: 230, AtomicIAdd: 234, AtomicSMin: 236, AtomicUMin: 237, AtomicSMax: 238, AtomicUMax: 239, AtomicAnd: 240, AtomicOr: 241,
  LoopMerge: 246, SelectionMerge: 247, Label: 248, Branch: 249, BranchConditional: 250, Return: 253,
} as const;

/** Of GLSL.std.450. */
export const EXTENDED = { RoundEven: 2, Trunc: 3, FAbs: 4, SAbs: 5, Floor: 8, Ceil: 9, Sqrt: 31, Fma: 50 } as const;

export const CAPABILITY = { Shader: 1, Float16: 9, Float64: 10, Int64: 11, Int64Atomics: 12, Int16: 22, Int8: 39, GroupNonUniform: 61, GroupNonUniformShuffle: 65, StorageBuffer16BitAccess: 4433, StorageBuffer8BitAccess: 4448, VulkanMemoryModel: 5345, VulkanMemoryModelDeviceScope: 5346, PhysicalStorageBufferAddresses: 5347, CooperativeMatrixNV: 5357,
  DotProductInput4x8BitPacked: 6018, DotProduct: 6019, CooperativeMatrixKHR: 6022, AtomicFloat32AddEXT: 6033,
} as const;
export const STORAGE = { Input: 1, Workgroup: 4, Function: 7, PushConstant: 9, PhysicalStorageBuffer: 5349 } as const;
export const DECORATION = { Block: 2, ArrayStride: 6, BuiltIn: 11, Offset: 35, NoContraction: 42 } as const;
export const BUILT_IN = { WorkgroupId: 26, LocalInvocationIndex: 29, SubgroupId: 40, SubgroupLocalInvocationId: 41 } as const;

const MAGIC = 0x07230203;
const VERSION_1_5 = 0x00010500;
const GLSL450 = 1;
const VULKAN_MODEL = 3;
const PHYSICAL_64 = 5348;
const GL_COMPUTE = 5;
const LOCAL_SIZE = 17;

/** Text as words, with the zero that ends it. */
function textWords(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  const words = new Uint32Array(Math.floor(bytes.length / 4) + 1);
  new Uint8Array(words.buffer).set(bytes);
  return [...words];
}

export class Assembler {
  readonly #capabilities = new Set<number>([CAPABILITY.Shader, CAPABILITY.PhysicalStorageBufferAddresses, CAPABILITY.Int64]);
  readonly #extensions = new Set<string>();
  readonly #names: number[] = [];
  readonly #decorations: number[] = [];
  readonly #globals: number[] = [];
  readonly #variables: number[] = [];
  readonly #body: number[] = [];
  readonly #known = new Map<string, Id>();
  #next = 1;
  readonly #extended = this.id();

  id(): Id {
    return this.#next++;
  }
  #write(section: number[], op: number, operands: readonly number[]): void {
    section.push(((operands.length + 1) << 16) | op, ...operands);
  }

  /** Of those that came after SPIR-V 1.5, the extension too. */
  needs(capability: number, extension?: string): void {
    this.#capabilities.add(capability);
    if (extension !== undefined) this.#extensions.add(extension);
  }
  name(id: Id, text: string): void {
    this.#write(this.#names, OP.Name, [id, ...textWords(text)]);
  }
  decorate(id: Id, decoration: number, ...operands: readonly number[]): void {
    this.#write(this.#decorations, OP.Decorate, [id, decoration, ...operands]);
  }
  decorateMember(id: Id, member: number, decoration: number, ...operands: readonly number[]): void {
    this.#write(this.#decorations, OP.MemberDecorate, [id, member, decoration, ...operands]);
  }

  /** A type or constant, made once: its operands with the result, if it has a type, behind the type. */
  global(op: number, operands: readonly number[], { type, decorate }: { readonly type?: Id; readonly decorate?: (id: Id) => void } = {}): Id {
    const key = `${op} ${type ?? ""} ${operands.join()}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const id = this.id();
    this.#known.set(key, id);
    this.#write(this.#globals, op, type === undefined ? [id, ...operands] : [type, id, ...operands]);
    decorate?.(id);
    return id;
  }
  globalVariable(type: Id, storage: number): Id {
    const id = this.id();
    this.#write(this.#globals, OP.Variable, [this.pointer(storage, type), id, storage]);
    return id;
  }

  pointer(storage: number, type: Id): Id {
    return this.global(OP.TypePointer, [storage, type]);
  }
  void(): Id {
    return this.global(OP.TypeVoid, []);
  }
  bool(): Id {
    return this.global(OP.TypeBool, []);
  }
  /** What accesses to memory of several threads say under Vulkan's own memory model, which some extensions want. */
  get nonPrivate(): number {
    return this.#capabilities.has(CAPABILITY.VulkanMemoryModel) ? 0x20 : 0;
  }
  /** Without a sign: operations say which they mean. */
  int(bits: 8 | 16 | 32 | 64): Id {
    if (bits === 8) this.needs(CAPABILITY.StorageBuffer8BitAccess);
    if (bits === 16) this.needs(CAPABILITY.StorageBuffer16BitAccess);
    return this.global(OP.TypeInt, [bits, 0]);
  }
  float(bits: 16 | 32 | 64): Id {
    if (bits === 16) this.needs(CAPABILITY.Float16);
    if (bits === 64) this.needs(CAPABILITY.Float64);
    return this.global(OP.TypeFloat, [bits]);
  }

  constantBool(value: boolean): Id {
    return this.global(value ? OP.ConstantTrue : OP.ConstantFalse, [], { type: this.bool() });
  }
  constantInt(bits: 32 | 64, value: number): Id {
    const wide = BigInt.asUintN(64, BigInt(value));
    const [low, high] = [Number(wide & 0xffffffffn), Number(wide >> 32n)];
    return this.global(OP.Constant, bits === 32 ? [low] : [low, high], { type: this.int(bits) });
  }
  constantFloat(bits: 32 | 64, value: number): Id {
    const words = new Uint32Array(bits === 32 ? Float32Array.of(value).buffer : Float64Array.of(value).buffer);
    return this.global(OP.Constant, [...words], { type: this.float(bits) });
  }

  /** A variable of the function. */
  variable(type: Id): Id {
    const id = this.id();
    this.#write(this.#variables, OP.Variable, [this.pointer(STORAGE.Function, type), id, STORAGE.Function]);
    return id;
  }
  /** An instruction with a result. */
  value(op: number, type: Id, ...operands: readonly number[]): Id {
    const id = this.id();
    this.#write(this.#body, op, [type, id, ...operands]);
    return id;
  }
  extended(instruction: number, type: Id, ...operands: readonly Id[]): Id {
    return this.value(OP.ExtInst, type, this.#extended, instruction, ...operands);
  }
  /** An instruction without one. */
  act(op: number, ...operands: readonly number[]): void {
    this.#write(this.#body, op, operands);
  }
  label(id: Id): void {
    this.act(OP.Label, id);
  }

  /** The module with one entry point, `main`, whose function has what was written; `first` is the label it starts with. */
  module(interfaces: readonly Id[], localSize: number): Uint32Array {
    const entry = this.id();
    const type = this.global(OP.TypeFunction, [this.void()]);
    const words: number[] = [MAGIC, VERSION_1_5, 0, 0, 0];
    for (const c of this.#capabilities) this.#write(words, OP.Capability, [c]);
    for (const e of this.#extensions) this.#write(words, OP.Extension, textWords(e));
    this.#write(words, OP.ExtInstImport, [this.#extended, ...textWords("GLSL.std.450")]);
    this.#write(words, OP.MemoryModel, [PHYSICAL_64, this.#capabilities.has(CAPABILITY.VulkanMemoryModel) ? VULKAN_MODEL : GLSL450]);
    this.#write(words, OP.EntryPoint, [GL_COMPUTE, entry, ...textWords("main"), ...interfaces]);
    this.#write(words, OP.ExecutionMode, [entry, LOCAL_SIZE, localSize, 1, 1]);
    const head: number[] = [];
    this.#write(head, OP.Function, [this.void(), entry, 0, type]);
    this.#write(head, OP.Label, [this.id()]);
    const tail: number[] = [];
    this.#write(tail, OP.Return, []);
    this.#write(tail, OP.FunctionEnd, []);
    words[3] = this.#next;
    return Uint32Array.from([words, this.#names, this.#decorations, this.#globals, head, this.#variables, this.#body, tail].flat());
  }
}
