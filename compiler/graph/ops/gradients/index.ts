// The gradient column of the op table: how each op turns gradients of its results into gradients of its inputs.
import type { OpName } from "../../graph.ts";
import type { OpDefinition } from "../definition.ts";
import { control } from "./control.ts";
import { elementwise } from "./elementwise.ts";
import { products } from "./products.ts";
import { shaping } from "./shaping.ts";

export const GRADIENTS: { readonly [O in OpName]: OpDefinition<O>["gradient"] } = { ...elementwise, ...shaping, ...products, ...control };
