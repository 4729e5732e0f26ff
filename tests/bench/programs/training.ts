// NoiSER's training entry alone.
export { learn, net, noise, optimizer } from "../../../dsl-examples/noiser/index.ts";
