// Control groups, in a folder that stands for the machine's /proc and /sys: what runtime/native/tests/cgroup.cc says too.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cgroupLimits, usableMemory, usableThreads } from "../../runtime/cgroup.ts";
import { load } from "../../runtime/index.ts";
import { Heap } from "../../runtime/wasm/heap.ts";
import { sample, sampleModule } from "./runtime-sample.ts";

const MIB = 2 ** 20;
let root = "";
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "sluice-cgroup-"))));
afterEach(() => rm(root, { recursive: true }));

async function put(files: { readonly [path: string]: string }): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${text}\n`);
  }
}

test("a machine without control groups has no limits but its own", () => {
  expect(cgroupLimits(root)).toEqual({ cpus: Infinity, memory: Infinity });
  expect(usableThreads(root)).toBe(Math.min(1024, availableParallelism()));
  expect(usableMemory(root)).toBe(totalmem());
});

test("the second version: the group's limits and those of the groups above it", async () => {
  await put({
    "proc/self/cgroup": "0::/user/job", "sys/fs/cgroup/cpu.max": "max 100000", "sys/fs/cgroup/user/cpu.max": "50000 100000", "sys/fs/cgroup/user/memory.max": String(900 * MIB),
    "sys/fs/cgroup/user/job/cpu.max": "400000 100000", "sys/fs/cgroup/user/job/memory.max": String(700 * MIB),
  });
  expect(cgroupLimits(root)).toEqual({ cpus: 0.5, memory: 700 * MIB });
  expect(usableThreads(root)).toBe(1);
  expect(usableMemory(root)).toBe(700 * MIB);
});

test("the first version, its controllers mounted together or alone", async () => {
  await put({
    "proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/", "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": String(300 * MIB),
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712", "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "150000",
    "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
  });
  expect(cgroupLimits(root)).toEqual({ cpus: 1.5, memory: 300 * MIB });
  expect(usableThreads(root)).toBeLessThanOrEqual(2);
});

test("a group whose path leads out of what is mounted has the mount's limits", async () => {
  await put({ "proc/self/cgroup": "0::/../../elsewhere", "sys/fs/cgroup/cpu.max": "100000 100000" });
  expect(usableThreads(root)).toBe(1);
});

test("a heap refuses what the process may not have, though the engine would grant it", () => {
  const heap = new Heap(new WebAssembly.Memory({ initial: 1, maximum: 65536 }), 0, 8 * MIB);
  heap.allocate(6 * MIB, "a test");
  expect(() => heap.allocate(3 * MIB, "the rest")).toThrow(/error MEM001: not enough memory for the rest\n {2}found: {4}it needs 3145728 bytes \(3\.0 MiB\); .*\n {2}expected: at most 8388608 bytes \(8\.0 MiB\) in all/);
  expect(heap.allocate(MIB, "less").bytes).toBe(MIB);
});

test.each([0, -1, 1.5, Number.NaN, Infinity, 1025, 5000, 1_000_000])("%d threads are refused", async threads => {
  await expect(load({ program: sample, modules: [sampleModule(true)] }, { threads })).rejects.toThrow(`error THREADS001: threads are an integer\n  found:    ${threads}\n  expected: 1 … 1024`);
});
