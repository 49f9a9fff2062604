// Booking step by step in a browser: with scripts (the forecast and the previews follow, a picture goes at once), and on a
// phone without any. Both end with a booked campaign.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { launch, missing, picture, startDemo } from './harness.mjs';
import { signIn } from './roles.mjs';

const why = missing();
if (why) console.log(`SKIP booking step by step: ${why}`);
const skip = { skip: why ?? false };

let demo, browser;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo({ visitors: 4 }), launch()]);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const field = (page, name) => page.locator(`[name="${name}"]`);
const press = async (page, go) => {
  // By keyboard: what people without a mouse do, and nothing beneath a moving page is hit.
  await page.locator(`.buttons button[value="${go}"]`).focus();
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
};
const step = page => new URL(page.url()).pathname.split('/').pop();
async function begin(page) {
  await page.goto(`${demo.url}/console/book`);
  await page.locator('form[action="/console/book"] button.primary').click();
  await page.waitForURL(/\/goal$/);
}
async function goal(page, name) {
  await field(page, 'name').fill(name);
  for (const list of ['advertiser', 'sponsor', 'payer']) {
    const value = await field(page, list).locator('option').evaluateAll(all => all.map(o => o.value).find(Boolean));
    await field(page, list).selectOption(value);
  }
  await field(page, 'flight.starts_at').fill('2026-01-01T00:00');
  await field(page, 'flight.ends_at').fill('2030-01-01T00:00');
  await field(page, 'lifetime_budget_micros').fill('100');
}

test('with scripts: the forecast follows, a picture is seen at once, nothing is lost by going back', skip, async () => {
  const { page, seen } = await signIn(browser, demo, 'ad_operations');
  await begin(page);
  await press(page, 'next');
  assert.equal(step(page), 'goal', 'what is missing is said');
  await page.locator('[role=alert]').waitFor();
  await picture(page, 'guide-1-goal-faults', { fullPage: true });
  await goal(page, 'Autumn bicycles');
  await press(page, 'next');
  assert.equal(step(page), 'audience');
  await page.locator('#forecast').evaluate(node => { node.dataset.before = 'yes'; });
  await field(page, 'bid.micros_per_mille').fill('3');
  const asked = page.waitForResponse(r => r.request().method() === 'POST' && r.url().endsWith('/audience'));
  await page.locator('.ticks .field', { hasText: '300\u00d7250' }).first().locator('input').setChecked(true);
  await asked;
  await page.locator('#forecast:not([data-before])').waitFor();
  await picture(page, 'guide-2-audience', { fullPage: true });
  await press(page, 'next');
  assert.equal(step(page), 'creative');
  await field(page, 'landing_url').fill('https://shop.example/autumn');
  const buffer = await page.screenshot({ clip: { x: 0, y: 0, width: 300, height: 250 } });
  await Promise.all([page.waitForNavigation(), page.locator('input[type=file]').setInputFiles({ name: 'wood.png', mimeType: 'image/png', buffer })]);
  await field(page, 'versions[0].creative.alt').fill('A wood in autumn');
  await page.locator('#previews iframe').first().waitFor();
  assert.equal(await page.locator('#previews .note').count(), 0, 'it fits where it shall be shown');
  assert.equal(await page.locator('form[data-guard]').evaluate(form => form.previousElementSibling?.className ?? ''), '', 'nothing is said to wait in the tab');
  await picture(page, 'guide-3-creative', { fullPage: true });
  await press(page, 'back');
  assert.equal(step(page), 'audience');
  assert.equal(await field(page, 'bid.micros_per_mille').inputValue(), '3');
  await press(page, 'next');
  assert.equal(await field(page, 'versions[0].creative.alt').inputValue(), 'A wood in autumn', 'kept by going back');
  await press(page, 'next');
  assert.equal(step(page), 'launch');
  await picture(page, 'guide-4-launch', { fullPage: true });
  await press(page, 'launch');
  assert.match(page.url(), /\/console\/campaigns\/cam_\d+$/);
  assert.deepEqual(seen.foreign, []);
  await page.context().close();
});

test('on a phone without scripts, a political campaign', skip, async () => {
  const { page } = await signIn(browser, demo, 'ad_operations', { javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
  await begin(page);
  await goal(page, 'A bridge for the town');
  await field(page, 'political').setChecked(true);
  await press(page, 'next');
  await field(page, 'bid.micros_per_mille').fill('4');
  await press(page, 'next');
  await field(page, 'kind').selectOption('text');
  await page.locator('#f-go-kind').click();
  await field(page, 'landing_url').fill('https://bridge.example/');
  await field(page, 'versions[0].creative.title').fill('A bridge, at last');
  await field(page, 'versions[0].creative.body').fill('Vote on Sunday.');
  await press(page, 'next');
  assert.equal(step(page), 'declaration');
  await field(page, 'political.linked[0].name').first().fill('Municipal election, Example Town');
  await field(page, 'political.linked[0].held_on').fill('2029-03-15');
  await field(page, 'political.no_other_provider').setChecked(true);
  assert.equal(await field(page, 'political.other_providers[0].provider').isVisible(), false, 'there is none: not asked for');
  for (const name of ['origin.private', 'origin.inside_union', 'confirmed']) await field(page, `political.${name}`).setChecked(true);
  await picture(page, 'guide-phone-declaration', { fullPage: true });
  await press(page, 'next');
  assert.equal(step(page), 'launch');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), 'nothing sticks out');
  await picture(page, 'guide-phone-launch', { fullPage: true });
  await press(page, 'book');
  assert.match(page.url(), /\/console\/campaigns\/cam_\d+$/);
  await page.context().close();
});
