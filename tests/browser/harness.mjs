// What every browser test stands on: a Chromium, a page that may speak to nobody but its own origin, and a count at the end.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
export const PICTURES = fileURLToPath(new URL('../../target/browser/', import.meta.url));
const DIST = fileURLToPath(new URL('../../web/dist/', import.meta.url));
const TEST_MS = 60_000;
export const SCREEN = { width: 1366, height: 768 };

const tests = [];
/** Sentences that a test wants to be read. */
export const figures = [];

export function test(name, run) {
  tests.push({ name, run });
}

export async function runAll() {
  mkdirSync(PICTURES, { recursive: true });
  const only = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--autoplay-policy=document-user-activation-required'],
  });
  let [passed, failed] = [0, 0];
  for (const { name, run } of tests.filter((it) => !only || it.name.includes(only))) {
    const started = Date.now();
    const cleanups = [];
    let timer;
    try {
      const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not done in ${TEST_MS / 1000} s`)), TEST_MS)));
      await Promise.race([run({ browser, after: (cleanup) => cleanups.push(cleanup) }), late]);
      passed += 1;
      console.log(`test ${name} ... ok (${Date.now() - started} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`test ${name} ... FAILED\n    ${String(error.stack ?? error).split('\n').slice(0, 12).join('\n    ')}`);
    } finally {
      clearTimeout(timer);
      for (const cleanup of cleanups.reverse()) await cleanup();
    }
  }
  await browser.close();
  for (const figure of figures) console.log(figure);
  console.log(`\ntest result: ${failed ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed; 0 ignored`);
  process.exitCode = failed ? 1 : 0;
}

export function must(holds, what) {
  if (!holds) throw new Error(what);
}

/** A window of its own on `url`. Whatever it asks of another origin, and whatever it complains of, fails the test at its end. */
export async function open({ browser, after }, url, { lang = 'en', path = '/', size = SCREEN, init = null, prefs = {}, fresh = false } = {}) {
  const context = await browser.newContext({ viewport: size, locale: lang === 'ar' ? 'ar-AE' : 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' });
  const page = await context.newPage();
  const [foreign, complaints] = [[], []];
  page.on('request', (request) => {
    const to = new URL(request.url());
    if (to.origin !== url && to.protocol !== 'data:') foreign.push(request.url());
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== new URL(url).host) foreign.push(socket.url());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A cut link and a refused invitation are said by the browser itself.
    if (message.type() === 'error' && !/WebSocket connection|Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  await page.addInitScript((kept) => localStorage.setItem('najda-console', kept), JSON.stringify({ lang, ...prefs }));
  await page.addInitScript(() => {
    window.measures = [];
    new PerformanceObserver((list) => window.measures.push(...list.getEntries().map(({ name, startTime, duration }) => ({ name, duration, end: startTime + duration })))).observe({ entryTypes: ['measure'] });
  });
  if (init) await page.addInitScript(init);
  if (fresh) {
    // While the page is being written: the built files of the checkout instead of those in the binary.
    for (const file of ['console.js', 'console.css']) await page.route(`${url}/${file}`, (route) => route.fulfill({ path: `${DIST}${file}` }));
  }
  page.setDefaultTimeout(10_000);
  await page.goto(`${url}${path}`);
  after(async () => {
    await context.close();
    must(foreign.length === 0, `the page asked other hosts: ${foreign}`);
    must(complaints.length === 0, `the page complained: ${complaints}`);
  });
  return page;
}

/** No violation of WCAG 2.2 A and AA, and of axe's best practices, on what is shown now. */
export async function accessible(page, what) {
  await page.evaluate(() => {
    // The page's policy lets no foreign script in, so axe comes by the debugger's door, which is not the page's.
    if (!window.axe) throw new Error('axe is not there');
  }).catch(async () => page.evaluate((await import('node:fs')).readFileSync(AXE, 'utf8')));
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  const said = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 4).map(({ target, failureSummary }) => `${target} (${failureSummary.split('\n')[1]?.trim()})`).join(' | ')}`);
  must(violations.length === 0, `${what}: ${violations.length} violations\n${said.join('\n')}`);
}

export async function picture(page, name) {
  await page.screenshot({ path: `${PICTURES}${name}.png` });
}

/** Waits until the page says so. */
export async function until(page, condition, argument) {
  await page.waitForFunction(condition, argument);
}
