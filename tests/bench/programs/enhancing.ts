// NoiSER's enhancement alone.
export { enhance, net } from "../../../dsl-examples/noiser/index.ts";
