// What all browser tests share: the real binary with the demo's data, and a Chromium that fails on any foreign request.
import { chromium } from 'playwright-core';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
export const BIN = process.env.REGIE_BIN ?? join(here, '../../target/debug/regie');
export const CHROMIUM = process.env.REGIE_CHROMIUM ?? '/usr/bin/chromium';
const UPDATE = process.env.UPDATE_PICTURES === '1';
const PICTURES = UPDATE ? join(here, '../../docs/pictures') : join(here, '../../artefacts/pictures');

/** Why the tests cannot run here, or nothing. */
export function missing() {
  if (!existsSync(BIN)) return `there is no binary at ${BIN}; build it, or name it in REGIE_BIN`;
  if (!existsSync(CHROMIUM)) return `there is no Chromium at ${CHROMIUM}; install it, or name it in REGIE_CHROMIUM`;
  return null;
}

/** Starts `regie demo` on a free port with a fresh folder; the object holds the addresses it printed. */
export async function startDemo({ visitors = 0, args = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'regie-browser-'));
  const child = spawn(BIN, ['--json', '--folder', folder, 'demo', '--port', '0', '--visitors', String(visitors), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let errors = '';
  child.stderr.on('data', text => { errors += text; });
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', code => reject(new Error(`the demo ended with ${code}: ${errors}`)));
    setTimeout(() => reject(new Error(`the demo printed nothing within 60 s: ${errors}`)), 60_000).unref();
  });
  const demo = JSON.parse(line);
  const authorised = { authorization: `Bearer ${demo.token}` };
  return {
    ...demo,
    errors: () => errors,
    /** Calls the API with the demo's token. */
    async api(method, path, body) {
      const answer = await fetch(demo.url + path, {
        method, headers: { ...authorised, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text && JSON.parse(text);
    },
    async stop() {
      if (child.exitCode === null) {
        const ended = new Promise(resolve => child.once('exit', resolve));
        child.kill('SIGTERM');
        await ended;
      }
      process.removeListener('exit', kill);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A browser with a fresh profile. */
export function launch() {
  return chromium.launch({
    executablePath: CHROMIUM,
    // As people's browsers are: windows open only by a click.
    ignoreDefaultArgs: ['--disable-popup-blocking'],
    args: ['--no-sandbox', '--headless', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--no-first-run'],
  });
}

/** A context that notes every request to another machine, every console error, and every cookie. */
export async function guarded(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, locale: 'en-GB', ...options });
  const seen = { foreign: [], errors: [], requests: [] };
  context.on('request', request => {
    const url = new URL(request.url());
    seen.requests.push({ method: request.method(), url: request.url(), body: request.postData(), at: Date.now() });
    const own = ['127.0.0.1', 'localhost'].includes(url.hostname) || ['data:', 'about:', 'blob:'].includes(url.protocol);
    if (!own) seen.foreign.push(request.url());
  });
  context.on('console', message => {
    if (['error', 'warning'].includes(message.type())) seen.errors.push(`${message.text()} (${message.location().url})`);
  });
  context.on('weberror', error => seen.errors.push(String(error.error())));
  return { context, seen };
}

/** The beacons sent so far, as a flat list of events. */
export function beacons(seen) {
  return seen.requests.filter(r => r.url.endsWith('/v1/events') && r.body).flatMap(r => JSON.parse(r.body).events);
}

/** Waits until `check` gives something true. */
export async function until(what, check, milliseconds = 10_000) {
  const end = Date.now() + milliseconds;
  let last;
  while (Date.now() < end) {
    last = await check();
    if (last) return last;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error(`waited ${milliseconds} ms for ${what}`);
}

/** Keeps a picture of a page: for the documents with UPDATE_PICTURES=1, else among the artefacts. */
export async function picture(page, name, options = {}) {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), animations: 'disabled', ...options });
}
