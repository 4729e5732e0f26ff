// `npm run setup`: everything a fresh machine needs. Plain JavaScript without dependencies, for the Node that is there.
// Debian packages are installed when this may (root, apt-get); otherwise the command to run is printed.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const [major] = process.versions.node.split(".").map(Number);
if (major < 20) {
  console.error(`Node ${process.versions.node} is too old: 20 or newer is needed to start (24 is then installed for the project).`);
  process.exit(1);
}

const packages = [
  { name: "chromium", file: "/usr/bin/chromium", why: "the browser test" },
  { name: "g++", file: "/usr/bin/g++", why: "--target cpu and the native runtime" },
  { name: "cmake", file: "/usr/bin/cmake", why: "to build the native runtime" },
  { name: "ninja-build", file: "/usr/bin/ninja", why: "to build the native runtime" },
  { name: "nlohmann-json3-dev", file: "/usr/include/nlohmann/json.hpp", why: "containers in the native runtime" },
  { name: "doctest-dev", file: "/usr/include/doctest/doctest.h", why: "the native runtime's tests" },
  { name: "libstb-dev", file: "/usr/include/stb/stb_image.h", why: "pictures in executables" },
  { name: "libcli11-dev", file: "/usr/include/CLI/CLI.hpp", why: "the command line of executables" },
  { name: "liburing-dev", file: "/usr/include/liburing.h", why: "the fastest way to a disk" },
  { name: "libvulkan-dev", file: "/usr/include/vulkan/vulkan.h", why: "--target vulkan in the native runtime" },
  { name: "libvulkan-volk-dev", file: "/usr/include/volk.h", why: "--target vulkan in the native runtime" },
  { name: "libvulkan1", file: "/usr/lib/x86_64-linux-gnu/libvulkan.so.1", why: "--target vulkan" },
  { name: "mesa-vulkan-drivers", file: "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json", why: "--target vulkan where there is no GPU" },
  { name: "vulkan-validationlayers", file: "/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json", why: "the tests of --target vulkan" },
  { name: "glslang-tools", file: "/usr/bin/glslangValidator", why: "the tests of --target vulkan" },
  { name: "spirv-tools", file: "/usr/bin/spirv-val", why: "the tests of --target vulkan" },
];
if (process.argv.includes("--peers")) {
  packages.push(
    { name: "python3-torch", file: "/usr/lib/python3/dist-packages/torch", why: "a peer of the benchmarks" },
    { name: "fio", file: "/usr/bin/fio", why: "a peer of the benchmarks" },
    { name: "python3-skimage", file: "/usr/lib/python3/dist-packages/skimage/data/astronaut.png", why: "the benchmarks' photographs" },
  );
}
const missing = packages.filter(p => !existsSync(p.file));
if (missing.length > 0) {
  const names = missing.map(p => p.name);
  if (existsSync("/usr/bin/apt-get") && process.getuid?.() === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get", ["update", "-q"], { stdio: "inherit", env });
    const { status } = spawnSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...names], { stdio: "inherit", env });
    if (status !== 0) process.exit(1);
  } else {
    console.log(`Not installed: ${missing.map(p => `${p.name} (${p.why})`).join(", ")}. On Debian: sudo apt-get install ${names.join(" ")}`);
  }
}
execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { stdio: "inherit" });
execFileSync(process.execPath, ["runtime/native/build.mjs"], { stdio: "inherit" });
if (process.argv.includes("--peers")) {
  execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { stdio: "inherit", cwd: "tests/bench/peers" });
}
