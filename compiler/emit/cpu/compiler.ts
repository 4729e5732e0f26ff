// The system's C compiler: where it is, what it is, and one run of it.
import { execFile } from "node:child_process";
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { promisify } from "node:util";
import { SluiceError } from "../../base/diagnostics.ts";

export interface CCompiler {
  readonly path: string;
  readonly kind: "gcc" | "clang";
  /** Changes whenever another compiler is installed there. */
  readonly identity: string;
}

const NAMES = ["cc", "gcc", "clang"];
/** The first versions with __builtin_shufflevector and what else emitted code uses. */
const OLDEST: { readonly [K in CCompiler["kind"]]: number } = { gcc: 12, clang: 14 };

const run = promisify(execFile);

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

const onPath = (name: string): string | undefined =>
  name.includes("/") ? (isExecutable(name) ? name : undefined) : (process.env.PATH ?? "").split(delimiter).filter(d => d !== "").map(d => join(d, name)).find(isExecutable);

async function kindOf(path: string): Promise<CCompiler["kind"]> {
  const name = basename(path);
  if (name.includes("clang")) return "clang";
  if (name.includes("gcc")) return "gcc";
  const { stdout } = await run(path, ["--version"]).catch(() => ({ stdout: "" }));
  return stdout.includes("clang") ? "clang" : "gcc";
}

/** The compiler that is asked for, or the first of cc, gcc and clang on the path; undefined if there is none. */
export async function findCompiler(wanted?: string): Promise<CCompiler | undefined> {
  const path = (wanted === undefined ? NAMES : [wanted]).map(onPath).find(p => p !== undefined);
  if (path === undefined) return undefined;
  const real = realpathSync(path);
  const { size, mtimeMs } = statSync(real);
  return { path, kind: await kindOf(real), identity: `${real} ${size} ${mtimeMs}` };
}

/** The compiler; throws SluiceError if there is none. */
export async function requireCompiler(wanted?: string): Promise<CCompiler> {
  const found = await findCompiler(wanted);
  if (found) return found;
  throw new SluiceError({
    code: "CPU001", message: "--target cpu needs a C compiler, and this machine has none",
    found: wanted === undefined ? `none of ${NAMES.join(", ")} in ${process.env.PATH ?? "an empty PATH"}` : `no executable ${wanted}`,
    expected: `gcc ${OLDEST.gcc} or clang ${OLDEST.clang}, or newer`,
    hint: "apt-get install gcc (Debian, Ubuntu), dnf install gcc (Fedora), apk add gcc (Alpine); --target wasm needs no compiler",
  });
}

/** Its version: `12.2.0`. */
export const compilerVersion = async ({ path }: CCompiler): Promise<string> => (await run(path, ["-dumpfullversion", "-dumpversion"])).stdout.trim();

/** Throws SluiceError if the compiler is too old. */
export async function requireVersion(compiler: CCompiler): Promise<void> {
  const version = await compilerVersion(compiler);
  const oldest = OLDEST[compiler.kind];
  if (Number(version.split(".")[0]) >= oldest) return;
  throw new SluiceError({
    code: "CPU004", message: "the C compiler is too old for --target cpu", found: `${compiler.kind} ${version} at ${compiler.path}`, expected: `${compiler.kind} ${oldest} or newer`,
    hint: "--cc names another one; --target wasm needs no compiler",
  });
}

/** Runs it in the folder; what it says where it fails. */
export async function runCompiler({ path }: CCompiler, args: readonly string[], folder: string): Promise<string | undefined> {
  try {
    await run(path, args, { cwd: folder, maxBuffer: 1 << 26 });
    return undefined;
  } catch (e) {
    const { stderr, message } = e as Error & { stderr?: string };
    return stderr === undefined || stderr === "" ? message : stderr;
  }
}
