import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["tests/**/*.test.ts"], exclude: ["tests/bench/**"], testTimeout: 120_000, hookTimeout: 120_000, maxWorkers: 2, reporters: ["default", "./tests/support/conformance-reporter.ts"] },
});
