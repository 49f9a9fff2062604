// Every page of a crawled site map: who may see it (a golden table), nothing that axe calls serious, a strict policy, weight,
// and no request to another machine. `UPDATE_GOLDEN=1` writes the table anew.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync, mkdirSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guarded, launch, missing, picture, startDemo, until } from './harness.mjs';
import { ROLES, crawl, signIn } from './roles.mjs';

const why = missing();
if (why) console.log(`SKIP the site map: ${why}`);
const skip = { skip: why ?? false };
const axe = why ? '' : readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const GOLDEN = join(dirname(fileURLToPath(import.meta.url)), 'golden', 'pages-by-role.txt');
const WEIGHT_BYTES_MAX = 200_000;

let demo, browser, people, map;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo({ visitors: 8 }), launch()]);
  await until('ads in the record', async () => (await (await fetch(`${demo.url}/record/ads.json`)).json()).entries.length > 3, 30_000);
  const { advertisers } = await demo.api('GET', '/v1/advertisers').then(list => ({ advertisers: list.advertisers ?? list.items ?? list }));
  const advertiser = advertisers[0].id;
  people = {};
  for (const role of ROLES) people[role] = await signIn(browser, demo, role, role === 'advertiser' ? { advertiser, bypassCSP: true } : { bypassCSP: true });
  const { context } = await guarded(browser, { bypassCSP: true });
  people.nobody = { context };
  // The advertiser's own things first, so that the table says what the role may, and not only whose things they are.
  // Half a booking, so that every step of the way is there to be looked at.
  const page = people.owner.page;
  await page.goto(`${demo.url}/console/book`);
  await page.locator('form[action="/console/book"] button.primary').click();
  await page.waitForURL(/\/goal$/);
  const draft = new URL(page.url()).pathname.replace(/\/goal$/, '');
  await page.locator('[name="name"]').fill('Half a booking');
  await page.locator('[name="political"]').setChecked(true);
  await page.locator('button[value="leave"]').click();
  await page.waitForURL(/\/console\/book$/);
  map = await crawl(people.advertiser.context, demo.url, ['/console', '/console/account']);
  for (const starts of [['/console', '/console/design', ...['goal', 'audience', 'creative', 'declaration', 'launch'].map(step => `${draft}/${step}`)], ['/record', '/record/data', '/study']]) {
    for (const [key, path] of await crawl(people.owner.context, demo.url, starts)) if (!map.has(key)) map.set(key, path);
  }
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

test('each role sees only what it may: page by role is a golden table', skip, async () => {
  const columns = [...ROLES, 'nobody'];
  const rows = [`# page ${columns.join(' ')}; + seen, - refused, > asked to sign in, 0 not there for this person`];
  for (const [key, path] of [...map].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const cells = await Promise.all(columns.map(async role => {
      const answer = await people[role].context.request.get(demo.url + path, { maxRedirects: 0 });
      const sign = { 200: '+', 403: '-', 303: '>', 404: '0' }[answer.status()];
      assert.ok(sign, `${role} ${path}: ${answer.status()}`);
      return sign;
    }));
    rows.push(`${key} ${cells.join(' ')}`);
  }
  const table = `${rows.join('\n')}\n`;
  if (process.env.UPDATE_GOLDEN === '1' || !existsSync(GOLDEN)) {
    mkdirSync(dirname(GOLDEN), { recursive: true });
    writeFileSync(GOLDEN, table);
  }
  assert.equal(table, readFileSync(GOLDEN, 'utf8'), 'look at who may see what, then run with UPDATE_GOLDEN=1');
});

for (const [language, role, view] of [['en', 'owner', { width: 1280, height: 900 }], ['fr', 'owner', { width: 390, height: 844 }]]) {
  test(`every page is accessible, light, strict and asks nobody else: ${language}, ${view.width} wide`, skip, async () => {
    const { context, seen } = await guarded(browser, { bypassCSP: true, viewport: view, locale: language, extraHTTPHeaders: { 'accept-language': language } });
    await context.addCookies(await people[role].context.cookies());
    const bad = [], wide = [], left = [...map];
    let heaviest = 0;
    // Two pages take turns: while one loads, the other is looked at.
    async function walk() {
      const page = await context.newPage();
      for (let next = left.shift(); next; next = left.shift()) {
        const [key, path] = next;
        const answer = await page.goto(demo.url + path, { waitUntil: 'load' });
        if (answer.status() !== 200) continue;
        const policy = answer.headers()['content-security-policy'] ?? '';
        for (const need of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) assert.ok(policy.includes(need), `${path}: ${policy}`);
        assert.ok(!policy.includes('unsafe'), path);
        const body = await answer.text();
        heaviest = Math.max(heaviest, Buffer.byteLength(body));
        assert.ok(Buffer.byteLength(body) < WEIGHT_BYTES_MAX, `${path}: ${Buffer.byteLength(body)} bytes`);
        assert.equal(await page.locator('html').getAttribute('lang'), language, path);
        await page.evaluate(axe);
        const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], iframes: false }));
        for (const v of found.violations.filter(v => ['serious', 'critical'].includes(v.impact))) bad.push(`${path} ${v.id}: ${v.nodes.map(n => n.target.join(' ')).slice(0, 3)}`);
        if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1)) wide.push(path);
        await picture(page, `site-${language}${key.replace(/[^a-z0-9]+/gi, '-')}`, { fullPage: true });
      }
    }
    await Promise.all([walk(), walk()]);
    console.log(`# ${map.size} pages, the heaviest ${heaviest} bytes`);
    assert.deepEqual(bad, []);
    assert.deepEqual(wide, [], 'nothing sticks out');
    assert.deepEqual(seen.foreign, []);
    await context.close();
  });
}
