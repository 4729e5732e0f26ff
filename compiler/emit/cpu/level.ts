// What x86-64 machines kernels are compiled for: a level, which fixes the width of vectors, and features beyond it.
//   cpu:v3   AVX2, FMA and F16C     cpu:v4   AVX-512 F, BW, CD, DQ and VL     cpu:v4+vnni+bf16     cpu:native   this machine
import { readFileSync } from "node:fs";
import { SluiceError } from "../../base/diagnostics.ts";
import type { CpuCode, CpuFeature } from "../../../runtime/program.ts";

export type CpuTarget = Pick<CpuCode, "level" | "features">;
type CpuLevel = CpuTarget["level"];

/** The flags of /proc/cpuinfo that each needs. */
const LEVEL_FLAGS: { readonly [L in CpuLevel]: readonly string[] } = {
  v3: ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"],
  v4: ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
};
const FEATURES: { readonly [F in CpuFeature]: { readonly level: CpuLevel; readonly flag: string; readonly option: string } } = {
  vnni: { level: "v4", flag: "avx512_vnni", option: "-mavx512vnni" },
  bf16: { level: "v4", flag: "avx512_bf16", option: "-mavx512bf16" },
};
const FEATURE_NAMES = Object.keys(FEATURES) as CpuFeature[];

/** What the compiler is told. */
export const machineOptions = ({ level, features }: CpuTarget): string[] => [`-march=x86-64-${level}`, ...features.map(f => FEATURES[f].option)];

export const cpuTargetText = ({ level, features }: CpuTarget): string => `cpu:${[level, ...features].join("+")}`;

/** The best target that a machine with these flags of /proc/cpuinfo runs; undefined below v3. */
export function targetOfFlags(flags: ReadonlySet<string>): CpuTarget | undefined {
  const has = (names: readonly string[]): boolean => names.every(f => flags.has(f));
  if (!has(LEVEL_FLAGS.v3)) return undefined;
  if (!has(LEVEL_FLAGS.v4)) return { level: "v3", features: [] };
  return { level: "v4", features: FEATURE_NAMES.filter(f => flags.has(FEATURES[f].flag)) };
}

function nativeFlags(): ReadonlySet<string> {
  let text = "";
  try {
    text = readFileSync("/proc/cpuinfo", "utf8");
  } catch { /* no Linux: no flags */ }
  return new Set(/^flags\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/));
}

/** Throws SluiceError where this machine runs no level. */
export function nativeTarget(): CpuTarget {
  const flags = nativeFlags();
  const target = targetOfFlags(flags);
  if (target) return target;
  const missing = LEVEL_FLAGS.v3.filter(f => !flags.has(f));
  throw new SluiceError({
    code: "CPU002", message: "this machine runs no native kernels",
    found: flags.size === 0 ? "no /proc/cpuinfo of an x86-64 machine" : `no ${missing.join(", ")} in /proc/cpuinfo`, expected: "x86-64-v3 (AVX2, FMA, F16C) or better", hint: "--target wasm runs here",
  });
}

/** Whether this machine runs code for the target. */
export function runsHere({ level, features }: CpuTarget): boolean {
  const flags = nativeFlags();
  const needed = [...LEVEL_FLAGS.v3, ...(level === "v4" ? LEVEL_FLAGS.v4 : []), ...features.map(f => FEATURES[f].flag)];
  return needed.every(f => flags.has(f));
}

/** Reads `cpu`, `cpu:native`, `cpu:v3`, `cpu:v4+vnni`; throws SluiceError. */
export function parseCpuTarget(text: string): CpuTarget {
  const refuse = (found: string, hint?: string): never => {
    throw new SluiceError({ code: "CPU003", message: `no CPU target ${text}`, found, expected: `cpu, cpu:native, cpu:v3, cpu:v4 or cpu:v4 with ${FEATURE_NAMES.map(f => `+${f}`).join(", ")}`, ...(hint === undefined ? {} : { hint }) });
  };
  if (text === "cpu" || text === "cpu:native") return nativeTarget();
  const match = /^cpu:(.*)$/.exec(text);
  const [level, ...features] = (match?.[1] ?? refuse(text)).split("+");
  if (level !== "v3" && level !== "v4") return refuse(level === "" ? "no level" : `level ${level}`);
  for (const f of features) {
    const feature = FEATURE_NAMES.find(name => name === f);
    if (!feature) return refuse(`feature ${f}`);
    if (FEATURES[feature].level > level) return refuse(`${f} with level ${level}`, `${f} needs cpu:${FEATURES[feature].level}`);
  }
  return { level, features: FEATURE_NAMES.filter(f => features.includes(f)) };
}
