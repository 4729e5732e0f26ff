// What was compiled before, by content: files named by the hash of all that they were made from. A file starts with the
// hash of what follows, so that a damaged one is a miss. Files are written under another name and renamed; the oldest go
// when all together take too much. A folder that cannot be used is no error: nothing is kept then.
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

export const DEFAULT_CACHE = (): string => join(homedir(), ".cache", "sluice");
const DEFAULT_LIMIT = 256 * 2 ** 20;
const HASH_BYTES = 32;

const hash = (data: string | Uint8Array): Buffer => createHash("sha256").update(data).digest();

export class FileCache {
  readonly #folder: string;
  readonly #limit: number;

  constructor(folder: string, limit = DEFAULT_LIMIT) {
    this.#folder = folder;
    this.#limit = limit;
  }

  #path(key: string): string {
    return join(this.#folder, hash(key).toString("hex"));
  }

  async read(key: string): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    const file = await readFile(path).catch(() => undefined);
    if (!file || file.length < HASH_BYTES) return undefined;
    const content = file.subarray(HASH_BYTES);
    if (!hash(content).equals(file.subarray(0, HASH_BYTES))) return undefined;
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    return new Uint8Array(content);
  }

  async write(key: string, content: Uint8Array): Promise<void> {
    const path = this.#path(key);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(temporary, Buffer.concat([hash(content), content]));
      await rename(temporary, path);
      await this.#evict(path);
    } catch {
      await rm(temporary, { force: true }).catch(() => {});
    }
  }

  /** Removes the files that were used least recently until the rest is within the limit; never the one kept. */
  async #evict(kept: string): Promise<void> {
    const names = await readdir(this.#folder);
    const files = await Promise.all(names.map(async name => {
      const path = join(this.#folder, name);
      const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: 0 }));
      return { path, size, mtimeMs };
    }));
    let total = files.reduce((sum, f) => sum + f.size, 0);
    for (const { path, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (total <= this.#limit) return;
      if (path === kept) continue;
      await rm(path, { force: true });
      total -= size;
    }
  }
}
