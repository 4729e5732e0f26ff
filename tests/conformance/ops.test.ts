// Every op compiled, on every target there is, against the reference interpreter.
import { describe, test } from "vitest";
import { expectCompiled } from "../support/compiled.ts";
import { OP_GRAPHS } from "../support/op-graphs.ts";

describe.each([...new Set(OP_GRAPHS.map(g => g.family))])("%s", family => {
  test.each(OP_GRAPHS.filter(g => g.family === family))("$name", run => expectCompiled(run));
});
