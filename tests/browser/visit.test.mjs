// A visitor's whole way on a real page: the tag loads, ads show with their label, are seen, clicked, lead to an order;
// the report and the public record show it. No request leaves this machine, no cookie is set.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { beacons, guarded, launch, missing, picture, startDemo, until } from './harness.mjs';

const why = missing();
if (why) console.log(`SKIP a visit: ${why}`);

let demo, browser;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo(), launch()]);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const rows = async by => (await demo.api('GET', `/v1/reports?by=${by}`)).rows;
const total = (list, name) => list.reduce((sum, row) => sum + row[name], 0);

test('an ad is decided, shown, labelled, seen, clicked, ordered, billed and published', { skip: why ?? false }, async () => {
  const { context, seen } = await guarded(browser);
  const page = await context.newPage();
  const answered = page.waitForResponse(r => r.url().endsWith('/v1/decisions') && r.request().postData()?.includes('"top"'));
  await page.goto(demo.demo);
  const { decisions } = await (await answered).json();
  assert.deepEqual(decisions.map(d => d.name), ['top', 'billboard', 'side'], 'one request for all places, the lazy ones later');

  // Each ad stands in a sandboxed frame of its own, below a label that is no part of it.
  const shown = decisions.filter(d => d.ad);
  assert.ok(shown.length >= 2, 'ads were found');
  for (const { name, ad } of shown) {
    const frame = page.locator(`[data-regie-placement="${name}"] iframe`);
    await frame.waitFor();
    assert.equal(await frame.getAttribute('sandbox'), ad.sandbox);
    assert.ok(!ad.sandbox.includes('allow-same-origin') && !ad.sandbox.includes('allow-top-navigation'), ad.sandbox);
    const label = await page.locator(`[data-regie-placement="${name}"] [data-regie-label]`).boundingBox();
    const box = await frame.boundingBox();
    assert.ok(label.height >= 14 && label.y + label.height <= box.y + 0.5, 'the label stands above the frame');
    assert.equal(Math.round(box.width), ad.width);
    assert.equal(Math.round(box.height), ad.height);
  }

  // Impressions are reported once each; viewable not before a second has passed.
  const tickets = new Map(shown.map(d => [d.ad.ticket, d.name]));
  await until('impressions', () => beacons(seen).filter(e => e.kind === 'impression' && tickets.has(e.ticket)).length >= shown.length);
  const top = shown.find(d => d.name === 'top') ?? shown[0];
  const of = kind => seen.requests.find(r => r.url.endsWith('/v1/events') && r.body?.includes(kind) && r.body.includes(top.ad.ticket));
  await until('a viewable impression', () => of('"viewable"'));
  assert.ok(of('"viewable"').at - of('"impression"').at >= 950, 'seen for a second, not less');

  // The click goes through Regie to the landing page, and to nowhere else.
  const [landing] = await Promise.all([
    context.waitForEvent('page'),
    page.frameLocator(`[data-regie-placement="${top.name}"] iframe`).locator('a').first().click(),
  ]);
  await landing.waitForLoadState();
  const address = new URL(landing.url());
  assert.equal(address.origin, demo.pages);
  assert.match(address.pathname, /^\/demo\/at\/[a-z-]+$/);
  assert.ok(address.searchParams.get('regie_click').length > 150, 'a signed click id');
  assert.equal(address.searchParams.get('from'), top.name, 'macros are filled');
  assert.equal(await landing.evaluate(() => window.opener), null);

  // An order on the landing page is reported from server to server, and again when the page is loaded again.
  await landing.locator('#order').click();
  await landing.getByText('has reported your').waitFor();
  await landing.reload();

  const count = name => beacons(seen).filter(e => e.kind === name).length;
  const report = await until('the report', async () => {
    const list = await rows('ad');
    return total(list, 'conversions_count') >= 1 && total(list, 'viewable_count') >= 1 && list;
  });
  const own = report.find(row => row.ad === top.ad.ad);
  assert.equal(own.clicks_count, 1);
  assert.equal(own.conversions_count, 1, 'an order counts once, however often it is reported');
  assert.equal(total(report, 'impressions_count'), count('impression'), 'what was sent is what was counted');
  assert.equal(total(report, 'viewable_count'), count('viewable'));

  // The public record has the ad, with its payer, without signing in.
  const reader = await context.newPage();
  await until('the public record', async () => (await fetch(`${demo.record}/ads/${top.ad.ad}`)).ok);
  await reader.goto(`${demo.record}/ads/${top.ad.ad}`);
  const payer = top.ad.label.payer.replace('paid for by ', '');
  await reader.getByText(payer).first().waitFor();

  assert.deepEqual(seen.foreign, [], 'no request leaves this machine');
  assert.deepEqual(seen.errors, [], 'no errors on the console');
  assert.deepEqual(await context.cookies(), [], 'no cookies');
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0, 'no storage');
  await context.close();
});

test('lazy places ask when they come near the view, and native ads take the style of the page', { skip: why ?? false }, async () => {
  const { context, seen } = await guarded(browser, { viewport: { width: 1180, height: 420 } });
  const page = await context.newPage();
  await page.goto(demo.demo);
  await page.locator('[data-regie-placement="top"] iframe').waitFor();
  await page.waitForTimeout(300);
  const asked = () => seen.requests.filter(r => r.url.endsWith('/v1/decisions')).flatMap(r => JSON.parse(r.body).placements.map(p => p.name));
  assert.ok(!asked().includes('text'), 'the lowest place has not asked yet');
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await until('the lowest place asking', () => asked().includes('text'));
  const native = page.locator('[data-regie-placement="native"] article');
  await native.waitFor();
  assert.notEqual((await native.locator('h3').textContent()).trim(), '');
  assert.equal(await page.locator('[data-regie-placement="native"] iframe').count(), 0);
  const later = seen.requests.filter(r => r.url.endsWith('/v1/decisions')).map(r => JSON.parse(r.body)).at(-1);
  assert.ok(later.frequency.page_view.length >= 3, 'the page view says what it showed already');
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('the console signs in by the printed address, and shows the figures', { skip: why ?? false }, async () => {
  const { context, seen } = await guarded(browser);
  const page = await context.newPage();
  await page.goto(demo.sign_in);
  assert.equal(new URL(page.url()).pathname, '/console');
  await page.getByText('Cargo bikes, spring').first().waitFor();
  const wrong = await fetch(demo.sign_in.replace(/key=.*/, 'key=0123456789abcdef01234567'), { redirect: 'manual' });
  assert.equal(wrong.status, 403);
  assert.deepEqual(seen.foreign, []);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('pictures for the documents', { skip: why ?? false }, async () => {
  const busy = await startDemo({ visitors: 40 });
  const { context, seen } = await guarded(browser, { viewport: { width: 1280, height: 1000 } });
  const page = await context.newPage();
  await page.goto(busy.sign_in);
  await page.waitForTimeout(20_000);
  await picture(page, 'console');
  await page.goto(busy.record);
  await page.waitForTimeout(300);
  await picture(page, 'record');
  await page.goto(`${busy.demo}/politics`);
  await page.locator('[data-regie-placement="side"] iframe').waitFor();
  await page.waitForTimeout(1_500);
  await picture(page, 'demo-page');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(busy.demo);
  await page.waitForTimeout(1_000);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing sticks out on a phone');
  assert.deepEqual(seen.foreign, []);
  await context.close();
  await busy.stop();
});
