// Builds the native runtime with cmake and ninja: the addon, the runner and the tests, in build/native. Plain JavaScript, since
// `npm run setup` calls it.
//
//   node runtime/native/build.mjs               the addon and the runner; says so and ends well where they cannot be built
//   node runtime/native/build.mjs --test        builds and runs the native tests as well
//   node runtime/native/build.mjs --sanitize    builds them with AddressSanitizer and UBSan, and with ThreadSanitizer, and runs both
//   node runtime/native/build.mjs --fuzz        builds the readers of files with AddressSanitizer and UBSan, for mutated ones
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const options = process.argv.slice(2);

function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, { stdio: "inherit", cwd: root, env: { ...process.env, ...env } });
  if (status !== 0) process.exit(status ?? 1);
}

/** Configures and builds in a folder; only `target` if one is given. */
function build(folder, definitions, target) {
  run("cmake", ["-S", "runtime/native", "-B", folder, "-G", "Ninja", "-Wno-dev", `-DNODE_MODULES=${modules}`, ...definitions]);
  run("cmake", ["--build", folder, ...(target ? ["--target", target] : [])]);
}

/** Beside this package where it is installed, in it in the repository. */
const modules = join(dirname(createRequire(import.meta.url).resolve("node-addon-api/package.json")), "..");

const has = command => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
const missing = ["cmake", "ninja", "g++"].filter(command => !has(command));
for (const [header, name] of [["nlohmann/json.hpp", "nlohmann-json3-dev"], ["stb/stb_image.h", "libstb-dev"], ["CLI/CLI.hpp", "libcli11-dev"]]) {
  if (!existsSync(`/usr/include/${header}`)) missing.push(name);
}
if (missing.length > 0) {
  console.log(`The native runtime is not built: ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not installed. Programs run as WebAssembly.`);
  process.exit(options.length > 0 ? 1 : 0);
}

if (options.includes("--fuzz")) build("build/asan", ["-DSANITIZE=address,undefined"], "fuzz_files");
else if (options.includes("--sanitize")) {
  for (const [name, sanitizers] of [["asan", "address,undefined"], ["tsan", "thread"]]) {
    console.log(`The native tests with -fsanitize=${sanitizers}, in build/${name}`);
    build(`build/${name}`, [`-DSANITIZE=${sanitizers}`], "native_tests");
    run(`build/${name}/native_tests`, [], { ASAN_OPTIONS: "detect_leaks=1", TSAN_OPTIONS: "halt_on_error=1" });
  }
} else {
  build("build/native", []);
  if (options.includes("--test")) {
    build("build/native", [], "native_tests");
    run("build/native/native_tests", []);
  }
}
