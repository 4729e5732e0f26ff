// NoiSER as `sluice build` makes it: a visitor trains it in the page and enhances a dark photograph of their own.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { main } from "../../compiler/cli/main.ts";
import { hasChromium, launchChromium } from "./chromium.ts";
import { serve } from "./serve.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const photo = join(root, "node_modules/@upscalerjs/maxim-enhancement/assets/fixture.png");

test.skipIf(!hasChromium)("NoiSER trains and enhances in a page", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-noiser-"));
  expect(await main(["build", join(root, "dsl-examples/noiser"), "--target", "wasm", "-o", folder])).toBe(0);
  const site = await serve(folder, true);
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    const errors: string[] = [];
    page.on("pageerror", error => errors.push(error.message));
    await page.goto(site.url);
    await page.waitForSelector("body[data-state=ready]");
    await page.fill("#train input[name=steps]", "300");
    await page.click("#train button[type=submit]");
    await page.waitForSelector("#train[data-state=done]");
    expect(await page.textContent("#train .status")).toMatch(/^300 of 300/);
    await page.setInputFiles("#enhance input[name=image]", photo);
    await page.waitForSelector("#enhance[data-state=done]");
    expect(await page.textContent("#enhance .results")).toMatch(/before, 470 × 470.*after, 470 × 470/);
    const means = await page.locator("#enhance canvas").evaluateAll(canvases => canvases.map(canvas => {
      const c = canvas as unknown as { width: number; height: number; getContext(kind: "2d"): { getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray } } };
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) sum += data[i]! + data[i + 1]! + data[i + 2]!;
      return sum / ((data.length / 4) * 3);
    }));
    expect(means[0]).toBeLessThan(60);
    expect(means[1]).toBeGreaterThan(100);
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
    site.close();
    await rm(folder, { recursive: true });
  }
});
