// The whole life, as each role, through the real pages: a publisher sets up a site, an advertiser books a commercial and a
// political campaign, is refused for an incomplete declaration and corrects it, operations approve, the ads run on a real page,
// figures appear live, a budget ends, and a reader finds it on a phone without JavaScript. Once in each language.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { guarded, launch, missing, picture, startDemo, until } from './harness.mjs';
import { signIn } from './roles.mjs';

const why = missing();
if (why) console.log(`SKIP the whole life: ${why}`);
const skip = { skip: why ?? false };

let demo, browser, paper, html = '', port;
before(async () => {
  if (why) return;
  [demo, browser] = await Promise.all([startDemo(), launch()]);
  paper = createServer((request, answer) => {
    answer.setHeader('content-type', 'text/html; charset=utf-8');
    answer.end(html);
  });
  // The demo's own ads stand aside.
  for (const campaign of (await demo.api('GET', '/v1/campaigns?limit=1000')).items) await demo.api('POST', `/v1/campaigns/${campaign.id}/status`, { status: 'paused' });
  port = await new Promise(resolve => paper.listen(0, '127.0.0.1', () => resolve(paper.address().port)));
});
after(async () => {
  await browser?.close();
  paper?.close();
  await demo?.stop();
});

const field = (page, name) => page.locator(`[name="${name}"]`);
async function fill(page, values) {
  for (const [name, value] of Object.entries(values)) {
    const at = field(page, name).first();
    const kind = await at.evaluate(n => (n.tagName === 'SELECT' ? 'select' : n.type));
    if (kind === 'select') await at.selectOption(value);
    else if (kind === 'checkbox') await at.setChecked(value);
    else await at.fill(String(value));
  }
}
async function save(page) {
  const [answer] = await Promise.all([
    page.waitForResponse(r => r.request().method() === 'POST'),
    page.locator('form[data-guard] .buttons button.primary').click(),
  ]);
  await page.waitForLoadState();
  return answer.status();
}
const id = page => new URL(page.url()).pathname.split('/').pop();

for (const language of ['en', 'fr']) {
  test(`from a new site to a reader's answer: ${language}`, skip, async () => {
    const options = { locale: language, extraHTTPHeaders: { 'accept-language': language } };
    const says = (en, fr) => (language === 'fr' ? fr : en);

    // The publisher: a site, a placement, the snippet.
    const owner = (await signIn(browser, demo, 'owner', options)).page;
    assert.equal(await owner.locator('html').getAttribute('lang'), language);
    await owner.goto(`${demo.url}/console/sites/new`);
    await fill(owner, { name: `Gazette ${language}`, origins: `http://127.0.0.1:${port}`, language });
    assert.equal(await save(owner), 303);
    const site = id(owner);
    await owner.getByText(says('nothing heard yet', 'rien entendu encore')).waitFor();
    await owner.goto(`${demo.url}/console/sites/${site}/placements/new`);
    await fill(owner, { name: 'life-top', 'format.kind': 'banner', 'format.sizes': '300x250', political: true, 'floors[0].micros_per_mille': '4', 'floors[0].currency': 'EUR', 'floors[0].tier': 'auction' });
    assert.equal(await save(owner), 303);
    await owner.goto(`${demo.url}/console/sites/${site}`);
    const snippet = await owner.locator('#snippet-head').textContent();
    const place = await owner.locator('#snippet-life-top').textContent();
    html = `<!doctype html><html lang="${language}"><head><title>Gazette</title>${snippet}</head><body><h1>Gazette</h1>${place}</body></html>`;
    await picture(owner, `life-${language}-site`, { fullPage: true });
    await owner.goto(`${demo.url}/console/advertisers/new`);
    await fill(owner, { name: `Atelier ${language}`, currency: 'EUR', zone: 'Europe/Paris', 'funding.kind': 'prepaid' });
    assert.equal(await save(owner), 303);
    const advertiser = id(owner);
    await demo.api('POST', `/v1/advertisers/${advertiser}/deposits`, { amount_micros: 50_000_000, reference: 'life' });

    // The advertiser: a sponsor, then a commercial campaign with a picture.
    const booker = (await signIn(browser, demo, 'advertiser', { ...options, advertiser })).page;
    await booker.goto(`${demo.url}/console/parties/new`);
    await fill(booker, {
      kind: 'organisation', 'identity.name': `Atelier ${language}`, 'identity.email': 'office@example.org',
      'identity.postal_address': '1 Quay, Example Town', established_in: 'FR', may_sponsor_before_votes: true,
    });
    assert.equal(await save(booker), 303);
    const parties = (await demo.api('GET', '/v1/parties?limit=1000')).items;
    const party = parties.find(p => p.spec.advertiser === advertiser).id;
    const picture300 = await booker.screenshot({ clip: { x: 0, y: 0, width: 300, height: 250 } });

    async function campaign(values) {
      await booker.goto(`${demo.url}/console/campaigns/new`);
      await fill(booker, { advertiser, sponsor: party, payer: party, objective: 'impressions', 'flight.starts_at': '2026-01-01T00:00', 'flight.ends_at': '2030-01-01T00:00', ...values });
    }
    async function inside(bid) {
      const campaign = id(booker);
      await booker.goto(`${demo.url}/console/campaigns/${campaign}/ad-sets/new`);
      assert.equal(await field(booker, 'bid.micros_per_click').isVisible(), false, 'only the amount that belongs to the choice is shown');
      const placement = (await demo.api('GET', `/v1/placements?within=${site}`)).items[0].id;
      await fill(booker, { name: 'All pages', 'bid.kind': 'cpm', 'tier.kind': 'auction', 'bid.micros_per_mille': bid, pacing: 'asap', 'targeting[0].dimension': 'placement', 'targeting[0].values': placement });
      // The forecast follows what is typed.
      await booker.waitForResponse(r => r.request().method() === 'POST' && r.url().includes('/ad-sets'));
      assert.equal(await save(booker), 303);
      const set = (await demo.api('GET', `/v1/ad-sets?within=${campaign}`)).items[0].id;
      await booker.goto(`${demo.url}/console/ad-sets/${set}/ads/new`);
      await fill(booker, { name: `Picture ${language}`, landing_url: 'https://shop.example/quay' });
      assert.equal(await save(booker), 303);
      const ad = id(booker);
      await booker.goto(`${demo.url}/console/ads/${ad}/versions/new?kind=image`);
      await booker.locator('input[type=file]').setInputFiles({ name: 'quay.png', mimeType: 'image/png', buffer: picture300 });
      await fill(booker, { 'creative.alt': 'A quay in the morning' });
      assert.equal(await save(booker), 303);
      return { campaign, set, ad };
    }
    await campaign({ name: `Commercial ${language}`, lifetime_budget_micros: '0.01' });
    assert.equal(await field(booker, 'political.confirmed').isVisible(), false, 'a commercial campaign shows no declaration');
    assert.equal(await save(booker), 303);
    const shop = await inside('60');
    await booker.goto(`${demo.url}/console/ads/${shop.ad}`);
    await picture(booker, `life-${language}-ad`, { fullPage: true });

    // A political one: refused while the declaration is incomplete; nothing typed is lost; corrected, it is booked.
    await campaign({ name: `Political ${language}`, lifetime_budget_micros: '5' });
    await field(booker, 'political').setChecked(true);
    await fill(booker, { 'political.linked[0].name': 'Municipal election, Example Town', 'political.linked[0].held_on': '2029-03-15', 'political.origin.private': true });
    assert.equal(await save(booker), 422, 'refused');
    await booker.locator('[role=alert]').waitFor();
    assert.equal(await field(booker, 'political.linked[0].name').inputValue(), 'Municipal election, Example Town');
    const told = await booker.locator('[role=alert]').textContent();
    assert.ok(told.includes(says('declare that there is none', 'déclarez qu’il n’y en a pas')), told);
    await picture(booker, `life-${language}-refused`, { fullPage: true });
    await fill(booker, { 'political.no_other_provider': true, 'political.origin.inside_union': true, 'political.confirmed': true });
    assert.equal(await save(booker), 303);
    const politics = await inside('80');

    // Operations approve what waits.
    const operations = (await signIn(browser, demo, 'ad_operations', options)).page;
    for (const ad of [shop.ad, politics.ad]) {
      await operations.goto(`${demo.url}/console/review`);
      const card = operations.locator('form', { has: operations.locator(`input[name="ad"][value="${ad}"]`) });
      if (ad === shop.ad) await picture(operations, `life-${language}-review`, { fullPage: true });
      await card.locator('button[value=approved]').click();
      await operations.waitForLoadState();
    }

    // The ads run on a real page, and the advertiser sees the figures grow without loading again.
    await booker.goto(`${demo.url}/console`);
    const live = booker.locator('[data-live="impressions"]');
    const before = Number((await live.textContent()).replace(/\D/g, ''));
    const { context, seen } = await guarded(browser, options);
    const shown = new Set();
    const visit = async () => {
      const page = await context.newPage();
      const answered = page.waitForResponse(r => r.url().endsWith('/v1/decisions'));
      await page.goto(`http://127.0.0.1:${port}/`);
      const { decisions } = await (await answered).json();
      const ad = [shop.ad, politics.ad].find(own => own === decisions[0].ad?.ad);
      if (ad) {
        shown.add(ad);
        await page.locator('[data-regie-placement="life-top"] iframe').waitFor();
        await page.waitForResponse(r => r.url().endsWith('/v1/events'), { timeout: 5_000 }).catch(() => {});
        if (shown.size === 1) await picture(page, `life-${language}-page`);
      }
      await page.close();
      return ad;
    };
    await until('an ad on the page', visit, 20_000);
    await until('live figures', async () => Number((await live.textContent()).replace(/\D/g, '')) > before, 15_000);

    // The political campaign is paused, so that the commercial one runs until its budget ends.
    await operations.goto(`${demo.url}/console/campaigns/${politics.campaign}`);
    await operations.locator('form:has(input[name="status"][value="paused"]) button').first().click();
    await operations.waitForLoadState();
    let spent = false;
    for (let visits = 0; visits < 40 && !spent; visits++) {
      await visit();
      const report = await demo.api('GET', `/v1/campaigns/${shop.campaign}`);
      assert.equal(report.status, 'active');
      const rows = (await demo.api('GET', `/v1/reports?by=campaign&campaign=${shop.campaign}`)).rows;
      spent = rows.some(r => r.net_nanos >= 10_000_000);
    }
    assert.ok(spent, 'the budget of one cent is spent to the last micro');
    assert.deepEqual([...shown].sort(), [shop.ad, politics.ad].sort(), 'both ads were shown');
    const rows = (await demo.api('GET', `/v1/reports?by=campaign&campaign=${shop.campaign}`)).rows;
    assert.equal(rows[0].net_nanos, 10_000_000, 'and not by one more');
    await booker.goto(`${demo.url}/console/campaigns/${shop.campaign}/results`);
    await booker.getByText(says('Spend against plan', 'Dépense face au plan')).first().waitFor();
    await picture(booker, `life-${language}-results`, { fullPage: true });
    await operations.goto(`${demo.url}/console/delivery`);
    await picture(operations, `life-${language}-delivery`, { fullPage: true });
    assert.deepEqual(seen.foreign, []);
    assert.deepEqual(seen.errors, []);

    // The reader: a phone, no JavaScript.
    const reader = await guarded(browser, { ...options, viewport: { width: 360, height: 740 }, javaScriptEnabled: false });
    const page = await reader.context.newPage();
    await until('the record', async () => (await fetch(`${demo.url}/record/ads/${politics.ad}.json`)).ok, 15_000);
    await page.goto(`${demo.url}/record?q=Atelier`);
    assert.equal(await page.locator('html').getAttribute('lang'), language);
    await page.locator(`a[href="/record/ads/${politics.ad}"]`).last().click();
    await page.getByText(says('Transparency notice', 'Avis de transparence')).first().waitFor();
    await page.getByText(`Atelier ${language}`).first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth).catch(() => true), true);
    await picture(page, `life-${language}-reader`, { fullPage: true });
    assert.deepEqual(reader.seen.foreign, []);
    await reader.context.close();
    await context.close();
  });
}
