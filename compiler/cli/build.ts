// `sluice build <program> --target wasm -o folder`: one folder that runs the program in a browser.
import { type Command, Option } from "commander";
import { withProgramOptions } from "./run.ts";

interface BuildOptions {
  readonly set: readonly string[];
  readonly seed?: string;
  readonly output: string;
  readonly json?: boolean;
}

export function addBuild(program: Command): void {
  withProgramOptions(program.command("build <program>"))
    .description("write a folder that runs the program in a browser")
    .addOption(new Option("--target <target>", "what the folder is for").choices(["wasm"]).default("wasm"))
    .requiredOption("-o, --output <folder>", "where to write")
    .option("--json", "as JSON")
    .action(async (path: string, options: BuildOptions) => {
      const { containerFor } = await import("./open-program.ts");
      const { writeSite } = await import("./site.ts");
      const { name, bytes } = await containerFor(path, options);
      const files = await writeSite(options.output, name, bytes);
      const total = files.reduce((sum, f) => sum + f.bytes, 0);
      if (options.json) process.stdout.write(`${JSON.stringify({ folder: options.output, files, bytes: total })}\n`);
      else {
        process.stdout.write(`${options.output}: ${files.length} files, ${(total / 1024).toFixed(0)} KiB; open index.html through any web server.\n`);
        process.stdout.write("For several threads it sends: Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp\n");
      }
    });
}
