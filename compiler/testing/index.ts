// Property tests for transforms of graphs, for ops, and for what users make of them: `sluice/testing`.
export { type GradientComparison, compareGradient, gradientGraph } from "./gradient.ts";
export { type GraphCase, type GraphOptions, graphs, graphsAround } from "./graphs.ts";
export { type Findings, IdleRuleError, isIdempotent, type MeaningOptions, preservesMeaning, PropertyError, type PropertyOptions, respectsGradient, roundTrips } from "./properties.ts";
export { type Layer, type Network, networkText } from "./networks/description.ts";
export { NetworkError, type NetworkRunOptions, runsAsReference } from "./networks/property.ts";
export type { NetworkTarget } from "./networks/run.ts";
export { type NetworkOptions, networks } from "./networks.ts";
export { drawValues, type Values } from "./values.ts";
export { type Field, f32Field, float64, type NdArray, prime } from "../graph/field.ts";
export { interpret, type Interpreted, type InterpretOptions } from "../graph/interpret.ts";
export { graphText } from "../graph/text.ts";
export { parseGraph } from "../graph/parse.ts";
export { verifyGraph } from "../graph/verify.ts";
export type { Graph } from "../graph/graph.ts";
export { type Rule, type RuleTransform, rewriteWith } from "../transforms/rewrite.ts";
export type { Exactness, Transform } from "../transforms/transform.ts";
