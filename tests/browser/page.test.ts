// The built page in headless Chromium, with cross-origin isolation (threads) and without (one thread, and it says so).
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSite } from "../../compiler/cli/site.ts";
import { writeContainer } from "../../compiler/container/write.ts";
import { sample, sampleModule } from "../unit/runtime-sample.ts";
import { hasChromium, launchChromium } from "./chromium.ts";
import { serve } from "./serve.ts";

describe.skipIf(!hasChromium)("the built page", () => {
  let folder = "";
  let browser: Browser;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-site-"));
    await writeSite(folder, sample.name, writeContainer(sample, [sampleModule(true), sampleModule(false)]));
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true });
  });

  test.each([{ isolated: true, says: /wasm, \d+ threads?, SIMD/ }, { isolated: false, says: /wasm, 1 thread, .*not cross-origin isolated, so it runs on one thread/ }])("cross-origin isolation: $isolated", async ({ isolated, says }) => {
    const site = await serve(folder, isolated);
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    const errors: string[] = [];
    page.on("pageerror", error => errors.push(error.message));
    try {
      await page.goto(site.url);
      await page.waitForSelector("body[data-state=ready]");
      expect(await page.textContent("#engine")).toMatch(says);

      await page.fill("#train input[name=steps]", "20");
      await page.fill("#train input[name=to]", "w.safetensors");
      await page.click("#train button[type=submit]");
      await page.waitForSelector("#train[data-state=done]");
      expect(await page.textContent("#train .status")).toMatch(/^20 of 20/);
      expect(await page.textContent("#train .results")).toMatch(/last f32 \[4\] \[30, 30, 30, 30\]/);
      expect(await page.textContent("#train .results")).toMatch(/note after 20 steps/);
      expect(await page.getAttribute("#train .saved a", "download")).toBe("w.safetensors");
      expect(await page.locator("#train .chart polyline").count()).toBe(1);

      await page.click("#count button[type=submit]");
      await page.waitForSelector("#count[data-state=done]");
      expect(await page.textContent("#count .results")).toMatch(/value f32 \[4\] \[31, 31, 31, 31\]/);

      const photo = await sharp({ create: { width: 9, height: 5, channels: 4, background: { r: 200, g: 100, b: 0, alpha: 0.5 } } }).png().toBuffer();
      await page.setInputFiles("#invert input[name=image]", { name: "photo.png", mimeType: "image/png", buffer: photo });
      await page.waitForSelector("#invert[data-state=done]");
      expect(await page.textContent("#invert .results")).toMatch(/before, 9 × 5.*after, 9 × 5/);
      const pixel = await page.locator("#invert canvas").nth(1).evaluate(canvas => {
        const c = canvas as unknown as { getContext(kind: "2d"): { getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray } } };
        return [...c.getContext("2d").getImageData(4, 2, 1, 1).data];
      });
      expect(pixel[3]).toBe(128);
      for (const [channel, value] of [55, 155, 255].entries()) expect(Math.abs(pixel[channel]! - value)).toBeLessThanOrEqual(1);

      await page.click("#forever button[type=submit]");
      await page.click("#forever button[type=button]");
      await page.waitForSelector("#forever[data-state=failed]");
      expect(await page.textContent("#forever .failure")).toBe("stopped");
      await page.click("#double button[type=submit]");
      await page.waitForSelector("#double[data-state=failed]");
      expect(await page.textContent("#double .failure")).toMatch(/INPUT001: `x` has no value yet/);
      expect(errors).toEqual([]);
    } finally {
      await page.close();
      site.close();
    }
  });
});
