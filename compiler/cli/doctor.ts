// `sluice doctor`: what this machine has of what Sluice can use, what is missing, and how to get it.
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { BUILD_COMMAND, builtFile } from "../../runtime/native/built.ts";
import { cudaDevices, vulkanDevices } from "../../runtime/native/devices.ts";
import { SluiceError } from "../base/diagnostics.ts";
import { compilerVersion, findCompiler } from "../emit/cpu/compiler.ts";
import { architecturesOf, requireNvcc, toolkitOf } from "../emit/cuda/nvcc.ts";
import { engineFeatures } from "../../runtime/wasm/features.ts";
import { usableThreads } from "../../runtime/cgroup.ts";

interface Finding {
  readonly what: string;
  readonly found: string;
  readonly ok: boolean;
  /** How to get it, where it is missing. */
  readonly get?: string;
}

const OLDEST_NODE = [22, 18] as const;
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function findings(): Promise<Finding[]> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const engine = engineFeatures();
  const chromium = CHROMIUM.find(path => existsSync(path));
  const compiler = await findCompiler();
  const [addon, runner] = [builtFile("addon"), builtFile("runner")];
  const sharp = await import("sharp").then(() => true, () => false);
  return [
    {
      what: "Node.js", found: `${process.versions.node} (V8 ${process.versions.v8})`, ok: major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]),
      get: `install Node ${OLDEST_NODE.join(".")} or newer; in this repository npm scripts run the one that \`npm ci\` installs`,
    },
    { what: "WebAssembly SIMD", found: yesNo(engine.simd), ok: engine.simd, get: "needed to run anything compiled; use a newer Node" },
    { what: "WebAssembly relaxed SIMD", found: yesNo(engine.relaxedSimd), ok: engine.relaxedSimd, get: "fused multiply-add, about twice as fast; use a newer Node" },
    { what: "Threads", found: engine.threads ? `shared memory, ${usableThreads()} at once` : "no shared memory", ok: engine.threads, get: "use a Node with shared WebAssembly memory" },
    { what: "Pictures (sharp)", found: yesNo(sharp), ok: sharp, get: "npm install sharp" },
    { what: "C compiler, for --target cpu", found: compiler ? `${compiler.kind} ${await compilerVersion(compiler)} at ${compiler.path}` : "no", ok: compiler !== undefined, get: "apt-get install gcc" },
    { what: "Native runtime, for --target cpu", found: addon ?? "not built", ok: addon !== undefined, get: BUILD_COMMAND },
    ...(addon === undefined ? [] : [...vulkanFindings(), ...cudaFindings()]),
    await nvccFinding(),
    { what: "Runner, for executables", found: runner ?? "not built", ok: runner !== undefined, get: BUILD_COMMAND },
    { what: "Chromium, for the browser tests", found: chromium ?? "no", ok: chromium !== undefined, get: "apt-get install chromium" },
  ];
}

/** What is missing, and how to get it. */
const missing = (what: string, { diagnostic: { message, found, hint } }: SluiceError): Finding =>
  ({ what, found: found ? `${message}: ${found}` : message, ok: false, ...(hint ? { get: hint } : {}) });

/** Or why there are none. */
function listed(what: string, findings: () => Finding[]): Finding[] {
  try {
    return findings();
  } catch (error) {
    if (error instanceof SluiceError) return [missing(what, error)];
    throw error;
  }
}
const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** Each device with what its self-tests left. */
const vulkanFindings = (): Finding[] => listed("Vulkan, for --target vulkan", () => vulkanDevices().map(({ name, kind, driver, memoryBytes, description, passed, problem, features }, i) => ({
  what: `--target vulkan:${i}`, ok: problem === "", get: problem,
  found: problem === "" ? `${description}; ${kind}, ${gibibytes(memoryBytes)}, workgroups of ${features.threads} threads and ${features.sharedBytes / 1024} KiB; self-tests passed: ${passed.join(", ")}` : `${name}, ${driver}`,
})));

/** Each device that passed its self-tests, or why not. */
const cudaFindings = (): Finding[] => listed("CUDA, for --target cuda", () => cudaDevices({ isTested: true }).map(({ name, architecture, memoryBytes, driver, description, problem }, i) => ({
  what: `--target cuda:${i}`, ok: problem === "", get: problem,
  found: problem === "" ? `${description}; ${gibibytes(memoryBytes)}, self-tests passed` : `${name}, ${architecture}, driver for ${driver}`,
})));

async function nvccFinding(): Promise<Finding> {
  const what = "nvcc, to compile for --target cuda";
  try {
    const nvcc = await requireNvcc();
    return { what, found: `${nvcc.path}, CUDA ${toolkitOf(nvcc) / 1000}, for ${(await architecturesOf(nvcc)).join(", ")}`, ok: true };
  } catch (error) {
    if (error instanceof SluiceError) return missing(what, error);
    throw error;
  }
}

const yesNo = (yes: boolean): string => (yes ? "yes" : "no");

export function addDoctor(program: Command): void {
  program.command("doctor").description("what this machine has, what is missing and how to get it").option("--json", "as JSON").action(async (options: { json?: boolean }) => {
    const found = await findings();
    if (options.json) {
      process.stdout.write(`${JSON.stringify(found)}\n`);
      return;
    }
    const width = Math.max(...found.map(f => f.what.length));
    for (const f of found) process.stdout.write(`${f.ok ? "✓" : "✗"} ${f.what.padEnd(width)}  ${f.found}${f.ok || !f.get ? "" : `\n  ${"".padEnd(width)}  ${f.get}`}\n`);
  });
}
