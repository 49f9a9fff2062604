// The public record in a browser: on a desk and on a phone, without JavaScript, with nothing that axe calls serious.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { guarded, launch, missing, picture, startDemo, until } from './harness.mjs';

const why = missing();
if (why) console.log(`SKIP record: ${why}`);
const skip = { skip: why ?? false };
const axe = why ? '' : readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let demo, browser, ads;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo({ visitors: 8 }), launch()]);
  ads = await until('political and other ads in the record', async () => {
    const { entries } = await (await fetch(`${demo.url}/record/ads.json?limit=100`)).json();
    const political = entries.find(e => e.political), other = entries.find(e => !e.political);
    return political && other && { political, other };
  }, 30_000);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const paths = () => [
  ['record', '/record'],
  ['record-search', `/record?q=${encodeURIComponent(ads.political.sponsor.name.split(' ')[0])}`],
  ['record-ad', `/record/ads/${ads.political.id}`],
  ['record-ad-other', `/record/ads/${ads.other.id}`],
  ['record-notice', `/record/ads/${ads.political.id}/notice`],
  ['record-notice-fr', `/record/ads/${ads.political.id}/notice?lang=fr`],
  ['record-versions', `/record/ads/${ads.political.id}/versions`],
  ['record-sponsor', `/record/sponsors/${ads.political.sponsor.id}`],
  ['record-elections', '/record/elections'],
  ['record-spenders', '/record/spenders'],
  ['record-log', '/record/log'],
  ['record-changes', '/record/changes'],
  ['record-data', '/record/data'],
  ['record-report', `/record/ads/${ads.political.id}/report`],
];

test('axe finds nothing serious, and no page asks another machine', skip, async () => {
  const { context, seen } = await guarded(browser, { bypassCSP: true });
  const page = await context.newPage();
  for (const [name, path] of paths()) {
    await page.goto(demo.url + path);
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    const bad = found.violations.filter(v => ['serious', 'critical'].includes(v.impact));
    assert.deepEqual(bad.map(v => `${v.id}: ${v.nodes.map(n => n.target.join(' ')).slice(0, 3)}`), [], name);
    await picture(page, name, { fullPage: true });
  }
  assert.deepEqual(seen.foreign, []);
  await context.close();
});

test('it reads on a phone and without JavaScript', skip, async () => {
  const { context } = await guarded(browser, { viewport: { width: 360, height: 740 }, javaScriptEnabled: false });
  const page = await context.newPage();
  for (const [name, path] of paths()) {
    const answer = await page.goto(demo.url + path);
    assert.equal(answer.status(), 200, name);
    assert.ok((await page.locator('h1').count()) >= 1, name);
    await picture(page, `${name}-phone`);
  }
  await context.close();
  const wide = await guarded(browser, { viewport: { width: 360, height: 740 } });
  const probe = await wide.context.newPage();
  for (const [name, path] of paths()) {
    await probe.goto(demo.url + path);
    const over = await probe.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 1, `${name} is ${over} px wider than a phone`);
  }
  await wide.context.close();
});

test('a search leads to an ad, its notice, its versions, and a report with a receipt', skip, async () => {
  const { context, seen } = await guarded(browser);
  const page = await context.newPage();
  await page.goto(`${demo.url}/record`);
  await page.fill('#q', ads.political.sponsor.name.split(' ')[0]);
  await page.click('form.search button');
  await page.locator('.hits a').first().waitFor();
  assert.match(await page.locator('.cite').innerText(), /size=\d+/);
  await page.goto(`${demo.url}/record/ads/${ads.political.id}`);
  await page.getByRole('link', { name: 'Notice', exact: true }).click();
  assert.equal(await page.locator('ol.notice > li').count(), 13);
  await page.goto(`${demo.url}/record/ads/${ads.political.id}/report`);
  await page.check('input[name="ground-notice"]');
  await page.fill('#words', 'The amounts have no currency.');
  await page.click('main button.primary');
  assert.match(await page.locator('main').innerText(), /waits for a decision/);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('a label in the page leads to the notice, and says what Art. 11 asks', skip, async () => {
  // Whoever bids more stands aside: what is looked at is a political ad's label.
  const { items } = await demo.api('GET', '/v1/campaigns');
  for (const c of items.filter(c => c.status === 'active' && !c.spec.political)) {
    await demo.api('POST', `/v1/campaigns/${c.id}/status`, { status: 'paused' });
  }
  const decided = await until('a political ad', async () => {
    const body = JSON.stringify({ site: demo.site, placements: ['top', 'side'].map(name => ({ name })),
      page: { url: demo.demo, language: 'en', key_values: { section: ['politics'] } } });
    const answer = await fetch(`${demo.url}/v1/decisions`, { method: 'POST', body });
    if (!answer.ok) return null;
    return (await answer.json()).decisions.map(d => d.ad).find(ad => ad?.label.political);
  }, 30_000);
  const { label } = decided;
  for (const part of ['text', 'sponsor', 'payer', 'notice_text', 'notice_path']) assert.ok(label[part], part);
  assert.match(label.notice_path, /\/notice\?lang=en$/);
  const notice = await fetch(demo.url + label.notice_path);
  assert.ok([200, 404].includes(notice.status));
});
