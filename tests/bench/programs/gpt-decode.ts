// The GPT's decode alone: no gradients and no moments.
export { decode, gpt, keys, values } from "./gpt.ts";
