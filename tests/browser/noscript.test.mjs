// The variants without a script on the publisher's page: an iframe, and a picture with a link.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { beacons, guarded, launch, missing, startDemo, until } from './harness.mjs';

const why = missing();
if (why) console.log(`SKIP without a script: ${why}`);
const skip = { skip: why ?? false };

let demo, browser;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo(), launch()]);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});
const sum = async name => (await demo.api('GET', '/v1/reports?by=ad')).rows.reduce((all, row) => all + row[name], 0);

test('the iframe holds a labelled ad that counts', skip, async () => {
  const { context, seen } = await guarded(browser);
  const page = await context.newPage();
  await page.goto(`${demo.demo}/without-script`);
  const inside = page.frameLocator('iframe.embed');
  await inside.locator('[data-regie-label]').waitFor();
  await inside.locator('iframe').waitFor();
  await until('viewable', () => beacons(seen).some(e => e.kind === 'viewable'));
  const asked = seen.requests.filter(r => r.url.endsWith('/v1/decisions')).map(r => JSON.parse(r.body));
  assert.equal(asked.length, 1);
  assert.equal(asked[0].page.url, `${demo.pages}/`, 'the origin of the page around it, as the browser tells');
  assert.deepEqual(seen.foreign, []);
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(await context.cookies(), []);
  await context.close();
});

test('a picture and its link belong together, with no script at all', skip, async () => {
  const { context, seen } = await guarded(browser, { javaScriptEnabled: false });
  const page = await context.newPage();
  const [impressions, clicks] = [await sum('impressions_count'), await sum('clicks_count')];
  await page.goto(`${demo.demo}/without-script`);
  const picture = page.locator('.noscript img');
  await picture.scrollIntoViewIfNeeded();
  await until('the picture', async () => (await picture.boundingBox()).height === 250);
  const image = seen.requests.find(r => r.url.includes('/v1/assets/'));
  assert.ok(image, 'a picture was served');
  assert.equal(await sum('impressions_count'), impressions + 1, 'it counts when it is asked for');
  const [landing] = await Promise.all([context.waitForEvent('page'), picture.click()]);
  await landing.waitForLoadState();
  assert.match(landing.url(), /\/demo\/at\/guesthouse\?.*regie_click=/);
  assert.equal(await sum('clicks_count'), clicks + 1);
  const notice = await fetch(await page.locator('.noscript a').last().getAttribute('href'), { redirect: 'manual' });
  assert.equal(notice.status, 302);
  assert.match(notice.headers.get('location'), /^\/record\/ads\/ad_\d+$/);
  // Asked for again, it is the same decision, and counts no second time.
  const address = await picture.getAttribute('src');
  await fetch(address);
  assert.equal(await sum('impressions_count'), impressions + 1);
  const unknown = await fetch(address.replace('/image?', '/click?').replace(/n=.*/, 'n=unknown'), { redirect: 'manual' });
  assert.equal(unknown.status, 410, 'a link without its picture leads nowhere');
  assert.deepEqual(await context.cookies(), []);
  await context.close();
});

test('the tag is small, revalidates by its ETag and travels packed', skip, async () => {
  const plain = await fetch(`${demo.url}/regie.js`, { headers: { 'accept-encoding': 'identity' } });
  const text = await plain.text();
  assert.ok(text.length < 12 * 1024, `${text.length} bytes`);
  const again = await fetch(`${demo.url}/regie.js`, { headers: { 'if-none-match': plain.headers.get('etag') } });
  assert.equal(again.status, 304);
  const packed = await fetch(`${demo.url}/regie.js`, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(packed.headers.get('content-encoding'), 'gzip');
  assert.equal(await packed.text(), text);
});
