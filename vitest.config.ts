import { defineConfig } from "vitest/config";

// A limit is for what hangs. A busy machine may take many times as long as a quiet one, and no test is to notice.
const LIMIT_MS = 1_800_000;

export default defineConfig({
  test: { include: ["tests/**/*.test.ts"], exclude: ["tests/bench/**"], testTimeout: LIMIT_MS, hookTimeout: LIMIT_MS, maxWorkers: 2, reporters: ["default", "./tests/support/conformance-reporter.ts"] },
});
