// `sluice opt <program|file.slir>`: runs passes on the graphs of a program or of a text and writes them as text. The answer
// reads as .slir again, with `--changes` too: what each pass changed stands in comments above each graph. After fusion there
// are kernels: a table says what each moves and computes.
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { InternalError, SluiceError } from "../base/diagnostics.ts";
import type { Graph } from "../graph/graph.ts";
import { graphText } from "../graph/text.ts";
import { verifyGraph } from "../graph/verify.ts";
import { COMPILED_PASSES, optimize, PIPELINE } from "../pipeline.ts";
import { assignment, collect, numberOf, settingsOf, withFusionOption, withSettingsOption } from "./options.ts";

interface OptOptions {
  readonly set: readonly string[];
  readonly passes?: string;
  readonly stopAfter?: string;
  readonly changes?: boolean;
  readonly entry?: string;
  readonly target?: string;
  readonly fusion?: boolean;
  readonly dim: readonly string[];
  readonly output?: string;
}

/** What `--stop-after` takes beside the passes. */
const FUSION = "fusion";

export function addOpt(program: Command): void {
  withFusionOption(withSettingsOption(program.command("opt <program> [entry]")))
    .description("run passes on a program's graphs, or on those of a .slir file, and write them as text")
    .option("--passes <a,b>", `the passes to run, in order (${COMPILED_PASSES.join(",")})`)
    .option("--stop-after <pass>", "the last pass to run; fusion, which comes after them, prints a table of kernels")
    .option("--target <target>", "of fusion: wasm (the default), cpu, cpu:v4, vulkan, cuda:sm_90")
    .option("--dim <name=value>", "of fusion: a dim's value, 512 if it may be", collect, [])
    .option("--changes", "say what each pass changed, in comments")
    .option("--entry <name>", "one graph only; its name after the program says the same")
    .option("-o, --output <file>", "where to write, instead of the terminal")
    .addHelpText("after", () => `\nPasses:\n${PIPELINE.map(p => p.transform(() => false)).map(t => `  ${t.name.padEnd(24)}${t.summary}`).join("\n")}`)
    .action(async (path: string, name: string | undefined, options: OptOptions) => {
      const { passes, stopAfter } = options;
      if (name !== undefined && options.entry !== undefined && name !== options.entry) {
        throw new SluiceError({ code: "CLI004", message: "two graphs are named, and one is meant", found: `${name} and --entry ${options.entry}`, expected: "one of them, or neither for all graphs" });
      }
      const wanted = name ?? options.entry;
      if (stopAfter === FUSION) {
        await write(options.output, await fusionOf(chosen(await graphsOf(path, options), path, wanted), options));
        return;
      }
      const names = passes?.split(",").map(name => name.trim()).filter(name => name !== "");
      const texts: string[] = [];
      for (const graph of chosen(await graphsOf(path, options), path, wanted)) {
        const { log, changeText } = options.changes ? await changeLog(graph) : { log: null, changeText: null };
        const comments: string[] = [];
        let last = graph;
        try {
          verifyGraph(graph);
          optimize(graph, {
            ...(names ? { passes: names } : {}), ...(stopAfter === undefined ? {} : { stopAfter }),
            onPass(pass, after, fired) {
              verifyGraph(after);
              last = after;
              if (log) comments.push(changeText(log.commit(pass, after, fired)));
            },
          });
        } catch (error) {
          throw error instanceof InternalError ? await withGraph(error, last) : error;
        }
        texts.push(comments.map(c => `${c}\n`).join("") + graphText(last));
      }
      await write(options.output, texts.join("\n"));
    });
}

async function write(output: string | undefined, text: string): Promise<void> {
  if (output === undefined) process.stdout.write(text);
  else await nodeFiles.write(output, new TextEncoder().encode(text));
}

/** The kernels of each graph for a target, and what they move and compute. */
async function fusionOf(graphs: readonly Graph[], { target = "wasm", dim, passes, fusion }: OptOptions): Promise<string> {
  if (passes !== undefined) throw new SluiceError({ code: "PASS003", message: "fusion comes after the compiler's own passes", found: `--passes ${passes}`, hint: "leave --passes out" });
  const { compileProgram } = await import("../compile.ts");
  const { exampleDims, fusedWork, fusionText, unfusedWork } = await import("../fusion/report.ts");
  const { machineOf, parseTargets } = await import("../targets.ts");
  const [wanted] = parseTargets(target);
  const machine = machineOf(wanted!);
  const given = Object.fromEntries(dim.map(text => {
    const [name, value] = assignment("--dim", text);
    return [name, numberOf(`dim ${name}`, value)];
  }));
  return graphs.map(graph => {
    verifyGraph(graph);
    const dims = exampleDims(graph.dims, given);
    const { lowerings } = compileProgram({ name: graph.name, dims: graph.dims, states: graph.states.map(s => ({ ...s, span: null })), entries: [graph], procedures: [] }, [machine], { fusion });
    const sizes = Object.entries(dims).map(([name, value]) => `${name} = ${value}`).join(", ");
    return fusionText(`${graph.name}, ${machine}${sizes === "" ? "" : `, ${sizes}`}`, fusedWork(lowerings[0]!, dims), unfusedWork(optimize(graph), dims));
  }).join("\n");
}

/** A fault of ours, with the last graph that was right in a file that it names. */
async function withGraph(error: InternalError, graph: Graph): Promise<InternalError> {
  const file = join(tmpdir(), `sluice-${process.pid}.slir`);
  await nodeFiles.write(file, new TextEncoder().encode(graphText(graph)));
  return new InternalError(`${error.message}\nthe graph before this is in ${file}`, { cause: error });
}

async function changeLog(graph: Graph) {
  const { ChangeLog, changeText } = await import("../transforms/changes.ts");
  return { log: new ChangeLog(graph), changeText };
}

async function graphsOf(path: string, { set }: OptOptions): Promise<readonly Graph[]> {
  if (path.endsWith(".slir")) {
    const { parseGraphs } = await import("../graph/parse.ts");
    return parseGraphs(textOf(path, await nodeFiles.read(path)), path);
  }
  const { importProgram } = await import("./program-module.ts");
  return (await importProgram(path, settingsOf({ set }))).entries;
}

/** Throws SluiceError SLIR002 for a file that is no text. */
function textOf(path: string, bytes: Uint8Array): string {
  try {
    if (!bytes.includes(0)) return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  const start = [...bytes.subarray(0, 8)].map(b => b.toString(16).padStart(2, "0")).join(" ");
  throw new SluiceError({ code: "SLIR002", message: `${path} is no text`, found: `${bytes.length} bytes: ${start}${bytes.length > 8 ? " …" : ""}`, expected: "graphs as text, in UTF-8", hint: "sluice opt writes such a file: sluice opt program.ts -o program.slir" });
}

function chosen(graphs: readonly Graph[], path: string, entry: string | undefined): readonly Graph[] {
  if (entry === undefined) return graphs;
  const graph = graphs.find(g => g.name === entry);
  if (!graph) throw new SluiceError({ code: "ENTRY001", message: `${path} has no graph \`${entry}\``, found: entry, expected: `one of ${graphs.map(g => g.name).join(", ")}` });
  return [graph];
}
