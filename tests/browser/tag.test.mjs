// How the tag behaves on a publisher's own pages, on another origin: consents, key-values, retries, navigation, refresh,
// what it never does. Network failures are made by the browser's own request interception.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { beacons, guarded, launch, missing, startDemo, until } from './harness.mjs';
import { page as pageWith, place, startPublisher } from './publisher.mjs';

const why = missing();
if (why) console.log(`SKIP the tag: ${why}`);
const skip = { skip: why ?? false };

let demo, browser, publisher;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo(), launch()]);
  publisher = await startPublisher(demo, {});
});
after(async () => {
  await browser?.close();
  await publisher?.stop();
  await demo?.stop();
});

/** Opens a page with this body; gives the page and what it asked. */
async function open(path, body, { attributes = '', prepare } = {}) {
  publisher.pages[path] = pageWith(demo, body, attributes);
  const { context, seen } = await guarded(browser);
  const page = await context.newPage();
  if (prepare) await prepare(page, context);
  await page.goto(publisher.origin + path);
  const asked = () => seen.requests.filter(r => r.url.endsWith('/v1/decisions')).map(r => JSON.parse(r.body));
  return { context, page, seen, asked };
}

test('what the page says of itself reaches the decision, and no more', skip, async () => {
  const { context, page, seen, asked } = await open('/facts', place('side'), {
    attributes: 'data-regie-keywords="boats, tides" data-regie-topics="harbour" data-regie-kv-section="sport,live" data-regie-consents="advertising"',
  });
  await page.goto(`${publisher.origin}/facts?mail=someone@example.org#top`);
  await page.locator('iframe').waitFor();
  const sent = asked().at(-1);
  assert.equal(sent.page.url, `${publisher.origin}/facts`, 'without query and fragment');
  assert.deepEqual(sent.page.keywords, ['boats', 'tides']);
  assert.deepEqual(sent.page.topics, ['harbour']);
  assert.deepEqual(sent.page.key_values, { section: ['sport', 'live'] });
  assert.deepEqual(sent.consents, ['advertising']);
  assert.equal(sent.page.language, 'en');
  assert.ok(!seen.requests.some(r => r.url.startsWith(demo.url) && r.method === 'OPTIONS'), 'no preflight');
  assert.deepEqual(await context.cookies(), []);
  await context.close();
});

test('a wrong name leaves the other places their ads, and warns once', skip, async () => {
  const { context, page, seen } = await open('/wrong', place('side') + place('no-such-place') + place('neither-this'));
  await page.locator('[data-regie-placement="side"] iframe').waitFor();
  await page.waitForTimeout(500);
  assert.equal(seen.errors.filter(e => e.startsWith('regie:')).length, 1, seen.errors.join('\n'));
  await context.close();
});

test('a beacon without an answer is sent again with the same ticket', skip, async () => {
  let refused = 0;
  const { context, page, seen } = await open('/retry', place('side'), {
    prepare: page => page.route('**/v1/events', route => (
      route.request().postData().includes('impression') && refused++ < 2 ? route.abort() : route.continue())),
  });
  await page.locator('iframe').waitFor();
  await until('three tries', () => beacons(seen).filter(e => e.kind === 'impression').length >= 3, 15_000);
  const impressions = beacons(seen).filter(e => e.kind === 'impression');
  assert.equal(new Set(impressions.map(e => e.ticket)).size, 1);
  const times = seen.requests.filter(r => r.url.endsWith('/v1/events') && r.body?.includes('impression')).map(r => r.at);
  assert.ok(times[1] - times[0] >= 950 && times[2] - times[1] >= 2_900, `waits of 1 and 3 s: ${times.map(t => t - times[0])}`);
  await context.close();
});

test('what is not yet sent leaves by beacon when the page goes', skip, async () => {
  const { context, page, seen } = await open('/leave', place('side'));
  await page.locator('iframe').waitFor();
  await page.waitForFunction(() => document.querySelector('iframe').clientHeight > 0);
  await page.evaluate(() => {
    window.beaconed = [];
    const original = navigator.sendBeacon.bind(navigator);
    navigator.sendBeacon = (url, body) => { localStorage.setItem('beaconed', body); return original(url, body); };
    window.fetch = () => Promise.reject(new Error('offline'));
  });
  await page.waitForTimeout(1_600);
  await page.goto(`${publisher.origin}/gone`).catch(() => {});
  const body = await page.evaluate(() => localStorage.getItem('beaconed'));
  assert.match(body ?? '', /"viewable"/);
  assert.ok(seen.requests.length > 0);
  await context.close();
});

test('what is not visible is not viewable', skip, async () => {
  const { context, page, seen } = await open('/below', `<p style="height:2000px">text</p>${place('side')}`);
  await page.locator('iframe').waitFor();
  await page.waitForTimeout(1_800);
  assert.deepEqual(beacons(seen).map(e => e.kind), ['impression']);
  // Half a second in view is not enough; a whole one is.
  const bottom = () => page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await bottom();
  await page.waitForTimeout(500);
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(1_500);
  assert.deepEqual(beacons(seen).map(e => e.kind), ['impression']);
  await bottom();
  await until('viewable', () => beacons(seen).some(e => e.kind === 'viewable'));
  await context.close();
});

test('a hidden tab sees nothing', skip, async () => {
  const { context, page, seen } = await open('/hidden', place('side'), {
    prepare: page => page.addInitScript(() => Object.defineProperty(document, 'visibilityState', { get: () => window.shown ? 'visible' : 'hidden' })),
  });
  await page.locator('iframe').waitFor();
  await page.waitForTimeout(1_800);
  assert.deepEqual(beacons(seen).map(e => e.kind), ['impression']);
  await page.evaluate(() => { window.shown = true; document.dispatchEvent(new Event('visibilitychange')); });
  await until('viewable', () => beacons(seen).some(e => e.kind === 'viewable'));
  await context.close();
});

test('of a large ad 30% are enough', skip, async () => {
  // The billboard (970x250) stands so that 40% of it are in view.
  const { context, page, seen } = await open('/large', `<p style="height:780px;margin:0">text</p>${place('billboard')}`, {
    attributes: 'data-regie-kv-section="front"',
  });
  const box = await page.locator('iframe').boundingBox();
  await page.setViewportSize({ width: 1180, height: Math.round(box.y + 100) });
  await until('viewable', () => beacons(seen).some(e => e.kind === 'viewable'));
  await context.close();
  const small = await open('/small', `<p style="height:780px;margin:0">text</p>${place('side')}`);
  const rectangle = await small.page.locator('iframe').boundingBox();
  await small.page.setViewportSize({ width: 1180, height: Math.round(rectangle.y + 100) });
  await small.page.waitForTimeout(1_800);
  assert.deepEqual(beacons(small.seen).map(e => e.kind), ['impression'], '40% of a small ad are not');
  await small.context.close();
});

test('navigation in a single page asks anew where the place wants it, as a new page view', skip, async () => {
  const { context, page, asked } = await open('/app', place('live-side') + place('side'));
  await page.locator('[data-regie-placement="live-side"] iframe').waitFor();
  await page.locator('[data-regie-placement="side"] iframe').waitFor();
  const first = await page.locator('[data-regie-placement="live-side"] iframe').getAttribute('src');
  await page.evaluate(() => history.pushState(null, '', '/app/second'));
  await until('a second request', () => asked().length === 2);
  assert.deepEqual(asked()[1].placements, [{ name: 'live-side' }]);
  assert.equal(asked()[1].page.url, `${publisher.origin}/app/second`);
  assert.deepEqual(asked()[1].frequency.page_view, [], 'a new page view has shown nothing');
  await until('another ticket', async () => (await page.locator('[data-regie-placement="live-side"] iframe').getAttribute('src')) !== first);
  await page.evaluate(() => history.replaceState(null, '', '/app/second#part'));
  await page.waitForTimeout(300);
  assert.equal(asked().length, 2, 'a fragment is no navigation');
  await page.evaluate(() => document.body.insertAdjacentHTML('beforeend', '<div data-regie-placement="top"></div>'));
  await page.locator('[data-regie-placement="top"] iframe').waitFor();
  await context.close();
});

test('a place refreshes after its time in view, not before', skip, async () => {
  const { context, page, asked } = await open('/refresh', place('live-side') + place('side'), {
    prepare: page => page.clock.install(),
  });
  await page.clock.runFor(500);
  await page.locator('[data-regie-placement="live-side"] iframe').waitFor();
  await page.waitForTimeout(500);
  const before = asked().length;
  await page.clock.runFor(27_000);
  assert.equal(asked().length, before);
  await page.clock.runFor(5_000);
  await until('the refresh', () => asked().length === before + 1);
  const refresh = asked().at(-1);
  assert.deepEqual(refresh.placements, [{ name: 'live-side' }]);
  assert.ok(refresh.frequency.page_view.length >= 3, 'the same page view');
  await context.close();
});

test('without an ad the publisher\'s own markup stands there, without scripts', skip, async () => {
  await demo.api('POST', '/v1/placements', {
    site: demo.site, name: 'empty', format: { kind: 'banner', sizes: [{ width: 120, height: 60 }] },
    fallback_html: '<p id="own">Our own words</p><img src=x onerror="parent.postMessage(\'script\',\'*\')">',
  });
  const { context, page, seen } = await open('/empty', `<script>addEventListener('message', e => { window.got = e.data; })</script>${place('empty')}`);
  await until('the new place', async () => {
    await page.reload();
    return page.locator('iframe').first().waitFor({ timeout: 1_000 }).then(() => true, () => false);
  });
  await page.frameLocator('iframe').getByText('Our own words').waitFor();
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => window.got), undefined);
  assert.deepEqual(beacons(seen), [], 'nothing to count');
  await context.close();
});

test('a server that is away does not break the page', skip, async () => {
  const { context, page, seen } = await open('/away', `${place('side')}<p id="text">The article</p>`, {
    prepare: page => page.route('**/v1/decisions', route => route.abort()),
  });
  await page.waitForTimeout(500);
  assert.equal(await page.locator('#text').textContent(), 'The article');
  assert.equal(seen.errors.filter(e => e.startsWith('regie:')).length, 1);
  assert.equal(await page.evaluate(() => typeof window.regie.refresh), 'function');
  await context.close();
});

test('the lines that the console gives to copy bring an ad onto a page', skip, async () => {
  const { context } = await guarded(browser);
  const console_ = await context.newPage();
  await console_.goto(demo.sign_in);
  await console_.goto(`${demo.console}/sites/${demo.site}`);
  const head = await console_.locator('#snippet-head').textContent();
  const place = await console_.locator('#snippet-side').textContent();
  await context.close();
  publisher.pages['/copied'] = `<!doctype html><html lang="en"><head><title>Copied</title><link rel="icon" href="data:,">${head}</head><body>${place}<p id="below">text</p></body></html>`;
  const visitor = await guarded(browser);
  const page = await visitor.context.newPage();
  await page.goto(`${publisher.origin}/copied`);
  await page.locator('[data-regie-placement="side"] iframe').waitFor();
  await page.waitForTimeout(1_000);
  const shift = await page.evaluate(() => new Promise(resolve => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(entry => { sum += entry.value; })).observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => resolve(sum), 200);
  }));
  assert.ok(shift < 0.05, `the page does not jump: ${shift}`);
  assert.deepEqual(visitor.seen.errors, []);
  await visitor.context.close();
});
