// `npm run fuzz:container -- --minutes N`: libFuzzer mutates real containers against the native reader, with their checksums
// made good. Starts from small containers that are built here and from what earlier runs kept in build/fuzz. A failure leaves
// its file there, and the exit code is 1.
import { spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { readContainer } from "../../compiler/container/read.ts";

const { minutes } = new Command("fuzz:container").option("--minutes <n>", "how long", "1").parse().opts<{ readonly minutes: string }>();
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const folder = here("../../build/fuzz");
const corpus = `${folder}/containers`;
await mkdir(corpus, { recursive: true });

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", cwd: here("../..") });
  if (error) throw error;
  if (status !== 0) process.exit(1);
}

const compiler = ["clang++", "clang++-19", "clang++-16", "clang++-14"].find(c => spawnSync(c, ["--version"]).status === 0);
if (compiler === undefined) {
  console.error("libFuzzer comes with clang, which is not installed. On Debian: apt-get install clang-14 libclang-rt-14-dev");
  process.exit(1);
}
const native = "runtime/native";
const sources = (await Promise.all(["base", "container"].map(async part => (await readdir(here(`../../${native}/${part}`))).filter(f => f.endsWith(".cc")).map(f => `${native}/${part}/${f}`)))).flat();
run(compiler, ["-std=c++20", "-O1", "-g1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", `-I${native}`, `${native}/fuzz/container.cc`, ...sources, "-o", `${folder}/container`]);

/** The words of a header, for the mutations. */
const words = new Set<string>();
for (const [program, target] of [["tests/errors/programs/running.ts", "wasm"], ["tests/errors/programs/running.ts", "cpu:v3"], ["tests/fuzz/tiny.ts", "cpu:v3"]] as const) {
  const seed = `${corpus}/${program.replaceAll(/[^a-z]/g, "-")}${target.replace(":", "-")}.slx`;
  run(process.execPath, ["compiler/cli/sluice.js", "build", program, "--target", target, "-o", seed]);
  const bytes = await readFile(seed);
  readContainer(bytes);
  const header = bytes.toString("utf8", 32, 32 + bytes.readUInt32LE(12));
  for (const [, word] of header.matchAll(/("\w{1,30}":?)/g)) words.add(word!);
}
await writeFile(`${folder}/container.dict`, [...words].map(w => `"${w.replaceAll("\"", "\\\"")}"\n`).join(""));
run(`${folder}/container`, [corpus, `-dict=${folder}/container.dict`, `-max_total_time=${Math.round(60 * Number(minutes))}`, "-max_len=131072", "-rss_limit_mb=4096", "-timeout=10", "-print_final_stats=1", `-artifact_prefix=${folder}/`]);
