// Compiles vulkan-probe.comp into vulkan-probe-code.h with glslangValidator (Debian: glslang-tools) and spirv-tools:
//   node runtime/native/device/vulkan-probe.mjs [another file to write]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const NAMES = ["BASE", "SMALL_INTEGERS", "FLOAT16", "FLOAT64", "FUSED", "DOT8", "ATOMIC", "SUBGROUPS"];
const here = name => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sluice-probe-"));
const run = (command, ...args) => execFileSync(command, args, { encoding: "utf8", cwd: folder });

/** GLSL's product of two integers as the dot product of two packed vectors of signed bytes. */
const toDotProduct = text => text
  .replace("OpCapability Int64\n", "OpCapability Int64\nOpCapability DotProductKHR\nOpCapability DotProductInput4x8BitPackedKHR\nOpExtension \"SPV_KHR_integer_dot_product\"\n")
  .replace(/OpIMul (\S+) (\S+) (\S+)/, "OpSDotKHR $1 $2 $3 PackedVectorFormat4x8BitKHR");
/** Extensions stand after all capabilities. */
const ordered = text => {
  const lines = text.split("\n");
  const is = word => line => line.includes(word);
  const [capabilities, extensions] = ["OpCapability", "OpExtension"].map(word => lines.filter(is(word)));
  const rest = lines.filter(line => !is("OpCapability")(line) && !is("OpExtension")(line));
  return [...capabilities, ...extensions, ...rest].join("\n");
};

let out = "// Made by vulkan-probe.mjs from vulkan-probe.comp: its kernels as SPIR-V.\n#pragma once\n#include <cstdint>\n\nnamespace sluice::probe {\n\n";
try {
  for (const name of NAMES) {
    run("glslangValidator", "-V", "--target-env", "vulkan1.2", "-g0", `-D${name}`, "-o", "a.spv", here("vulkan-probe.comp"));
    if (name === "DOT8") {
      writeFileSync(join(folder, "a.spvasm"), ordered(toDotProduct(run("spirv-dis", "--no-header", "--raw-id", "a.spv"))));
      run("spirv-as", "--target-env", "vulkan1.2", "--preserve-numeric-ids", "-o", "a.spv", "a.spvasm");
    }
    run("spirv-opt", "-O", "--compact-ids", "-o", "b.spv", "a.spv");
    run("spirv-val", "--target-env", "vulkan1.2", "b.spv");
    const bytes = readFileSync(join(folder, "b.spv"));
    const words = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i)).map(word => `0x${word.toString(16)}`);
    out += `inline constexpr uint32_t ${name}[] = {\n`;
    for (let i = 0; i < words.length; i += 20) out += `  ${words.slice(i, i + 20).join(", ")},\n`;
    out += "};\n";
  }
} finally {
  rmSync(folder, { recursive: true });
}
writeFileSync(process.argv[2] ?? here("vulkan-probe-code.h"), `${out}\n}  // namespace sluice::probe\n`);
