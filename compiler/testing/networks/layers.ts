// The table of layers: whoever adds a kind adds a row.
import type { LayerRow } from "./building.ts";
import { MOVEMENTS } from "./layers/movement.ts";
import { PRODUCTS } from "./layers/products.ts";
import { ROWS } from "./layers/rows.ts";
import { STRUCTURES } from "./layers/structure.ts";

export const LAYERS: readonly LayerRow[] = [...PRODUCTS, ...ROWS, ...MOVEMENTS, ...STRUCTURES];
const byKind = new Map(LAYERS.map(r => [r.kind, r]));
export const layerRow = (kind: string): LayerRow | undefined => byKind.get(kind);
