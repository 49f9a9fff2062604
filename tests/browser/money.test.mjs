// A budget ends while visitors watch: not a unit more is billed, and the page shows the ad no longer. A preview counts nothing.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { beacons, guarded, launch, missing, startDemo, until } from './harness.mjs';

const why = missing();
if (why) console.log(`SKIP money: ${why}`);
const skip = { skip: why ?? false };
const BUDGET_NANOS = 800_000_000; // 0.80 EUR, as the demo books it

let demo, browser, campaign;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo(), launch()]);
  const { items } = await demo.api('GET', '/v1/campaigns');
  campaign = items.find(c => c.spec.name.startsWith('Spring tide')).id;
  // A click of it is worth more than this campaign's impressions until something is learned, and nobody clicks here.
  const boat = items.find(c => c.spec.name === 'The last boat').id;
  await demo.api('POST', `/v1/campaigns/${boat}/status`, { status: 'paused' });
  await until('a place for the campaign', async () => (await decide(['top', 'side'])).some(d => d.ad?.campaign === campaign));
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const decide = async places => {
  const body = JSON.stringify({ site: demo.site, placements: places.map(name => ({ name })) });
  return (await (await fetch(`${demo.url}/v1/decisions`, { method: 'POST', body })).json()).decisions;
};
const row = async () => (await demo.api('GET', `/v1/reports?by=campaign&campaign=${campaign}`)).rows[0];

test('a budget is spent to the last unit and never beyond; then the ad is gone', skip, async () => {
  let shown = 0;
  for (let round = 0; round < 400; round++) {
    const ours = (await decide(['top', 'side'])).filter(d => d.ad?.campaign === campaign).map(d => d.ad.ticket);
    if (ours.length === 0 && shown > 0) {
      const spent = await row();
      if (spent.gross_nanos === BUDGET_NANOS || round > 390) break;
    }
    shown += ours.length;
    if (!ours.length) continue;
    // Each is reported twice: the second time it must change nothing.
    const events = ours.flatMap(ticket => [{ kind: 'impression', ticket }, { kind: 'impression', ticket }]);
    const answer = await fetch(`${demo.url}/v1/events`, { method: 'POST', body: JSON.stringify({ events }) });
    assert.equal(answer.status, 200);
  }
  const spent = await row();
  assert.ok(spent.gross_nanos <= BUDGET_NANOS, `billed ${spent.gross_nanos}`);
  assert.equal(spent.impressions_count, shown, 'each counts once');
  assert.ok(spent.gross_nanos > BUDGET_NANOS * 0.98, `billed ${spent.gross_nanos} of ${BUDGET_NANOS}`);
  const { context, seen } = await guarded(browser);
  const page = await context.newPage();
  for (let visit = 0; visit < 3; visit++) {
    await page.goto(demo.demo);
    await page.locator('[data-regie-placement="side"] iframe').waitFor();
    assert.equal(await page.locator('iframe[title*="Tidal Outlet"]').count(), 0, 'it is shown no longer');
  }
  const left = await Promise.all(Array.from({ length: 20 }, () => decide(['top', 'side'])));
  assert.ok(!left.flat().some(d => d.ad?.campaign === campaign));
  assert.equal((await row()).gross_nanos, spent.gross_nanos);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('a preview shows a draft on the real page and counts nothing', skip, async () => {
  const { items: ads } = await demo.api('GET', '/v1/ads');
  const { items: placements } = await demo.api('GET', '/v1/placements');
  const ad = ads.find(a => a.spec.name === 'Subscribe');
  const side = placements.find(p => p.spec.name === 'side');
  // A draft that nobody has approved.
  const markup = '<!doctype html><a href="{CLICK_URL}" target=_blank><h1>A draft headline</h1></a>';
  const draft = await demo.api('POST', '/v1/versions', {
    ad: ad.id, name: 'draft', creative: { kind: 'html', markup, size: { width: 300, height: 250 } },
  });
  const { url } = await demo.api('POST', '/v1/previews', { version: draft.id, placement: side.id, page_url: demo.demo });
  const before = await demo.api('GET', '/v1/reports?by=ad');
  const { context, seen } = await guarded(browser);
  const page = await context.newPage();
  await page.goto(url);
  const place = page.locator('[data-regie-placement="side"]');
  await place.getByText('Preview – not counted').waitFor();
  await page.frameLocator('[data-regie-placement="side"] iframe').getByText('A draft headline').waitFor();
  await place.locator('[data-regie-label]').waitFor();
  await page.waitForTimeout(1_800);
  assert.deepEqual(beacons(seen), [], 'no beacon');
  assert.ok(!seen.requests.some(r => r.url.endsWith('/v1/decisions')), 'nothing is decided');
  const [landing] = await Promise.all([
    context.waitForEvent('page'), page.frameLocator('[data-regie-placement="side"] iframe').locator('a').click(),
  ]);
  await landing.waitForLoadState();
  assert.ok(!landing.url().includes('regie_click'), 'a click is not counted');
  const after = await demo.api('GET', '/v1/reports?by=ad');
  assert.deepEqual(after.rows, before.rows, 'the report is as it was');
  const decided = await Promise.all(Array.from({ length: 20 }, () => decide(['side'])));
  assert.ok(!decided.flat().some(d => d.ad?.version === draft.id), 'nobody else sees the draft');
  // A changed link shows nothing.
  const broken = await guarded(browser);
  const other = await broken.context.newPage();
  await other.goto(url.slice(0, -3) + 'AAA');
  await other.waitForTimeout(700);
  assert.equal(await other.locator('iframe').count(), 0);
  assert.deepEqual(seen.foreign, []);
  await broken.context.close();
  await context.close();
});
