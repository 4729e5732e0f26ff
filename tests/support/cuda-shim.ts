// CUDA without a GPU: the driver of tests/cuda-shim, built once and loaded into this process, where the native runtime finds it as
// libcuda.so.1; and the nvcc that makes kernels for it.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nativeKernels, TEST_CACHE } from "./native-kernels.ts";

const SHIM = fileURLToPath(new URL("../cuda-shim", import.meta.url));
const FOLDER = join(TEST_CACHE, "../cuda-driver");
const FLAGS = ["-std=c++17", "-O2", "-fPIC", "-march=x86-64-v3", "-fno-strict-aliasing", "-shared", "-Wl,-soname,libcuda.so.1"];

/** Of each of the commands that end well, whichever process was first. */
function put(path: string, make: (temporary: string) => void): void {
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  make(temporary);
  renameSync(temporary, path);
}

/** The path of nvcc. Afterwards the driver is in this process. */
export function cudaShim(): string {
  const [driver, nvcc] = [join(FOLDER, "libcuda.so.1"), join(FOLDER, "nvcc")];
  const sources = readdirSync(SHIM).map(name => join(SHIM, name));
  if (!existsSync(driver) || sources.some(path => statSync(path).mtimeMs > statSync(driver).mtimeMs)) {
    mkdirSync(FOLDER, { recursive: true });
    put(nvcc, path => symlinkSync(join(SHIM, "nvcc"), path));
    put(driver, path => void execFileSync("g++", [...FLAGS, ...sources.filter(s => s.endsWith(".cc")), "-o", path, "-ldl"]));
  }
  nativeKernels().open(driver);
  return nvcc;
}
