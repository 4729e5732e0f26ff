// What the benchmarks are measured against, whether it is installed, and how to get it. A row whose peer is missing says so
// and is never met.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { photographsAreInstalled } from "./pictures.ts";

const folder = new URL("../peers/", import.meta.url);

export interface Peer {
  readonly name: string;
  readonly script: string;
  /** The version that is installed; undefined: none. */
  readonly version: () => string | undefined;
  readonly install: string;
}

/** The version of a package that is installed beside the peers. */
export function installedVersion(name: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, folder), "utf8")) as { version: string }).version;
  } catch {
    return undefined;
  }
}

let python: { readonly command: string; readonly version: string } | null | undefined;
/** A Python that has PyTorch: the one on the path, or Debian's. */
function pythonWithTorch(): { readonly command: string; readonly version: string } | null {
  if (python !== undefined) return python;
  for (const command of ["python3", "/usr/bin/python3"]) {
    const { status, stdout } = spawnSync(command, ["-c", "import torch, numpy; print(torch.__version__)"], { encoding: "utf8" });
    if (status === 0) return (python = { command, version: stdout.trim() });
  }
  return (python = null);
}

const setup = "npm run setup -- --peers";
const fromNpm = (name: string, script: string, pkg: string): Peer => ({ name, script, version: () => installedVersion(pkg), install: setup });

export const PEERS = {
  pytorch: { name: "PyTorch", script: "pytorch.py", version: () => pythonWithTorch()?.version, install: setup },
  onnxruntime: fromNpm("onnxruntime-web", "onnxruntime.ts", "onnxruntime-web"),
  onnxruntimeNode: fromNpm("onnxruntime-node", "onnxruntime-node.ts", "onnxruntime-node"),
  tfjs: fromNpm("tfjs-wasm", "tfjs.ts", "@tensorflow/tfjs-backend-wasm"),
  jax: fromNpm("jax-js", "jax.ts", "@jax-js/jax"),
} satisfies { readonly [key: string]: Peer };
export type PeerKey = keyof typeof PEERS;

/** The command that starts a peer as a participant; undefined if it is not installed. */
export function peerCommand(peer: Peer): readonly string[] | undefined {
  if (peer.version() === undefined) return undefined;
  const script = fileURLToPath(new URL(peer.script, folder));
  return script.endsWith(".py") ? [pythonWithTorch()!.command, script] : [process.execPath, script];
}

/** For `--peers`: one line each, and one for the photographs that quality is measured on. */
export function peersText(): string {
  const needed = [...Object.values<Peer>(PEERS).map(p => ({ name: p.name, found: p.version() })), { name: "photographs", found: photographsAreInstalled() ? "python3-skimage" : undefined }];
  return needed.map(({ name, found }) => `${name.padEnd(18)}${found ?? `not installed: ${setup}`}`).join("\n");
}
