// Debian's Chromium, headless.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PATH = "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const hasChromium = existsSync(PATH);
export const launchChromium = (): Promise<Browser> => chromium.launch({ executablePath: PATH, args: FLAGS });
