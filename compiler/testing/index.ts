// Property tests for transforms of graphs, for ops, and for what users make of them: `sluice/testing`.
export { type GradientComparison, compareGradient, gradientGraph } from "./gradient.ts";
export { type GraphCase, type GraphOptions, graphs } from "./graphs.ts";
export { type Findings, isIdempotent, type MeaningOptions, preservesMeaning, PropertyError, type PropertyOptions, respectsGradient, roundTrips } from "./properties.ts";
export { drawValues, type Values } from "./values.ts";
export { graphText } from "../graph/text.ts";
export { parseGraph } from "../graph/parse.ts";
export { verifyGraph } from "../graph/verify.ts";
export type { Graph } from "../graph/graph.ts";
export { type Rule, rewriteWith } from "../transforms/rewrite.ts";
export type { Transform } from "../transforms/transform.ts";
