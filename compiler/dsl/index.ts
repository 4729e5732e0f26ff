// The user's words.
export type { Bounds, DimLike, Num, Span, Spec } from "./dims.ts";
export { bf16, bool, Dim, dim, f16, f32, f64, i4, i8, i16, i32, span, u8, u16, u32 } from "./dims.ts";
export type { Axis, Shape } from "./shapes.ts";
export type { BF16, Bool, F16, F32, F64, I32, Scalar, State, Tensor, U8, U32 } from "./tensor.ts";
export { withGradient } from "./composite.ts";
export { arange, assert, concat, constant, einsum, full, iterate, stack } from "./functions.ts";
export type { AttentionOptions, Conv2d, Conv2dOptions, Embedding, Linear, Norm } from "./nn.ts";
export { attention, conv2d, crossEntropy, dropout, embedding, groupNorm, instanceNorm, layerNorm, layers, linear, rmsNorm, rope, standardize } from "./nn.ts";
export type { Accumulator, Average, Gradients, Optimizer, ParameterOptions, Rate, StepOptions } from "./optim.ts";
export { accumulator, adam, adamW, average, gradients, gradientsOf, rate, sgd } from "./optim.ts";
export type { Arg, List, Picture, Procedure, Text, Variable } from "./procedure.ts";
export { emit, every, file, flag, int, list, load, log, loop, picture, procedure, read, real, repeat, save, seconds, text, variable, when, write } from "./procedure.ts";
export type { Entry } from "./program.ts";
export { entry, evaluate, settings, traceProgram, withSettings } from "./program.ts";
export type { Random, RandomStream } from "./random.ts";
export { random } from "./random.ts";
export type { Fan, Group, Init } from "./state.ts";
export { frozen, module, only, state, times, without } from "./state.ts";
