// What this process may use of the machine: its processors and memory, or less where a control group (of a container, a
// service) says so. Both versions of control groups are read, and every group above the process's own counts. The native
// runtime's base/cgroup.cc does the same.
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { MOST_THREADS } from "./threads.ts";

export interface CgroupLimits {
  /** Seconds of processors per second; Infinity without a limit. */
  readonly cpus: number;
  /** Bytes; Infinity without a limit. */
  readonly memory: number;
}

/** Empty if there is no such file. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** Infinity for "max", for what is no number, and for a number that means none. */
function limitOf(text: string | undefined): number {
  const value = Number.parseFloat(text ?? "");
  // The first version writes the largest number of pages that there is where there is no limit.
  return value > 0 && value < 2 ** 62 ? value : Infinity;
}
/** Without a quota or a period there is no limit. */
const share = (quota: number, period: number): number => (Number.isFinite(quota) && Number.isFinite(period) ? quota / period : Infinity);

/** The group's folder and those above it. A path may lead out of what is mounted here; then the mount alone is seen. */
function foldersOf(mount: string, group: string): string[] {
  const parts = group.includes("..") ? [] : group.split("/").filter(part => part !== "");
  return Array.from({ length: parts.length + 1 }, (_, length) => [mount, ...parts.slice(0, length)].join("/"));
}

function secondVersion(folder: string): CgroupLimits {
  const [quota, period] = textOf(`${folder}/cpu.max`).split(/\s+/);
  return { cpus: share(limitOf(quota), limitOf(period)), memory: limitOf(textOf(`${folder}/memory.max`)) };
}
const firstVersion = (folder: string): CgroupLimits => ({
  cpus: share(limitOf(textOf(`${folder}/cpu.cfs_quota_us`)), limitOf(textOf(`${folder}/cpu.cfs_period_us`))), memory: limitOf(textOf(`${folder}/memory.limit_in_bytes`)),
});

/** `root` is where /proc and /sys are found. */
export function cgroupLimits(root = ""): CgroupLimits {
  const mount = `${root}/sys/fs/cgroup`;
  const all = textOf(`${root}/proc/self/cgroup`).split("\n").flatMap(line => {
    // Number, controllers and path, between colons; the second version has no controllers here.
    const [, controllers, group] = /^[^:]*:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || group === undefined) return [];
    if (controllers === "") return foldersOf(mount, group).map(secondVersion);
    // They are mounted under their names together, under each alone, or both.
    return [controllers, ...controllers.split(",")].flatMap(name => foldersOf(`${mount}/${name}`, group)).map(firstVersion);
  });
  return { cpus: Math.min(Infinity, ...all.map(l => l.cpus)), memory: Math.min(Infinity, ...all.map(l => l.memory)) };
}

/** As many threads as can run at once, at least 1. Node knows the processors, and of control groups only some. */
export const usableThreads = (root?: string): number => Math.max(1, Math.min(MOST_THREADS, availableParallelism(), Math.ceil(cgroupLimits(root).cpus)));

/** Bytes of memory: more is granted, and the process killed when it is used. */
export const usableMemory = (root?: string): number => Math.min(totalmem(), cgroupLimits(root).memory);
