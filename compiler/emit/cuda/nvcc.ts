// NVIDIA's compiler: where it is, which architectures it makes code for, and one run of it.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { InternalError, SluiceError } from "../../base/diagnostics.ts";
import { findCompiler } from "../cpu/compiler.ts";

export interface Nvcc {
  readonly path: string;
  /** Its own words, which change with every release. */
  readonly version: string;
}

/** Where the toolkit's installer puts it. */
const INSTALLED = "/usr/local/cuda/bin/nvcc";

const run = promisify(execFile);

/** The one that is asked for, or that of the path or of the toolkit; throws SluiceError if there is none. */
export async function requireNvcc(wanted?: string): Promise<Nvcc> {
  const found = wanted === undefined ? (await findCompiler("nvcc")) ?? (await findCompiler(INSTALLED)) : await findCompiler(wanted);
  if (found) return { path: found.path, version: (await run(found.path, ["--version"])).stdout.trim() };
  throw new SluiceError({
    code: "CUDA001", message: "--target cuda needs nvcc, and this machine has none",
    found: wanted === undefined ? `no nvcc in ${process.env.PATH ?? "an empty PATH"}, and no ${INSTALLED}` : `no executable ${wanted}`,
    expected: "nvcc of the CUDA toolkit, 12 or newer",
    hint: "install the CUDA toolkit (Debian: apt-get install nvidia-cuda-toolkit), which needs no GPU; executables that are built run without it",
  });
}

/** Its release as the driver counts versions: 12040 is CUDA 12.4. */
export function toolkitOf({ version }: Nvcc): number {
  const [, major = 0, minor = 0] = /release (\d+)\.(\d+)/.exec(version) ?? [];
  return 1000 * Number(major) + 10 * Number(minor);
}

/** What it makes code for. */
export const architecturesOf = async ({ path }: Nvcc): Promise<string[]> => (await run(path, ["--list-gpu-code"])).stdout.trim().split(/\s+/);

/** Throws SluiceError where one of them is none of the compiler's. */
export async function requireArchitectures(nvcc: Nvcc, wanted: readonly string[]): Promise<void> {
  const known = await architecturesOf(nvcc);
  const unknown = wanted.filter(a => !known.includes(a));
  if (unknown.length === 0) return;
  throw new SluiceError({
    code: "CUDA002", message: `nvcc makes no code for ${unknown.join(", ")}`, found: `${/release [\d.]+/.exec(nvcc.version)?.[0] ?? "nvcc"} at ${nvcc.path}`, expected: known.join(", "),
    hint: "another toolkit may: CUDA 12 is the last one for GPUs below sm_75, and a new GPU needs a toolkit of its time",
  });
}

/** What it says; throws InternalError where it refuses what lies in the folder. */
export async function runNvcc({ path }: Nvcc, args: readonly string[], folder: string): Promise<string> {
  try {
    const { stdout, stderr } = await run(path, args, { cwd: folder, maxBuffer: 1 << 26 });
    return stdout + stderr;
  } catch (e) {
    const { stdout = "", stderr = "", message } = e as Error & { stdout?: string; stderr?: string };
    throw new InternalError(`${path} refuses kernels, whose source is kept in ${folder}:\n${`${stdout}${stderr}`.trim() || message}`);
  }
}
