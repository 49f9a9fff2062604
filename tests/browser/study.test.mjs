// A study in a browser without scripts: a file is sent, asked, published, and read by anybody on a phone in the dark.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guarded, launch, missing, picture, startDemo, until } from './harness.mjs';

const why = missing();
if (why) console.log(`SKIP a study: ${why}`);
const skip = { skip: why ?? false };
const REPORT = 'FacebookAdLibraryReport_2024-05-01_XX_yesterday_advertisers.csv';

let demo, browser, folder;
before(async () => {
  if (why) return;
  folder = mkdtempSync(join(tmpdir(), 'regie-study-'));
  const rows = Array.from({ length: 12 }, (_, n) => `${1000 + n},Generated Party ${n},Generated Committee ${n % 5},${n % 4 ? 900 - n * 50 : '≤100'},${n + 1}`);
  writeFileSync(join(folder, REPORT), ['Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library', ...rows, 'x,y,z'].join('\n'));
  [demo, browser] = await Promise.all([startDemo(), launch()]);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test('from a file to a report that anybody reads', skip, async () => {
  const { context, seen } = await guarded(browser, { javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(demo.sign_in);
  await page.goto(`${demo.url}/console/study/import`);
  await page.setInputFiles('#file', join(folder, REPORT));
  await Promise.all([page.waitForURL('**/console/study/imports/*'), page.getByRole('button', { name: 'Import', exact: true }).click()]);
  await until('the import', async () => (await page.getByText('rows are in the store').count()) || (await page.reload(), false));
  assert.match(await page.locator('[role=status]').innerText(), /12 rows are in the store, 1 were kept aside/);
  await page.goto(`${demo.url}/console/study/ask`);
  await page.check('input[name=source][value=meta]');
  await page.selectOption('#by', 'payer');
  await page.getByRole('button', { name: 'Rank' }).click();
  await page.locator('.study svg').first().waitFor();
  // The bars are as long as their sums: the first is the longest, and no two of them are alike.
  const bars = await page.locator('.study svg').first().locator('rect.amount').all();
  const lengths = await Promise.all(bars.map(async bar => (await bar.boundingBox()).width));
  assert.ok(lengths.length === 5 && lengths.every((l, n) => n === 0 || l < lengths[n - 1] - 1), String(lengths));
  await picture(page, 'study-ask', { fullPage: true });
  await page.fill('#title', 'Who paid for the generated parties?');
  await page.fill('#lead', 'Twelve invented pages, one day.');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.waitForURL('**/study/*who-paid*');
  const address = page.url();

  // The demo brings a study of its own: the headline of 2018, added up again.
  await page.goto(`${demo.url}/study`);
  await page.getByRole('link', { name: 'biggest political advertiser' }).click();
  assert.match(await page.locator('main').innerText(), /274,100[\s\S]*1 to unknown/);

  // Anybody, on a phone, in the dark.
  const phone = await guarded(browser, { viewport: { width: 380, height: 800 }, colorScheme: 'dark' });
  const reader = await phone.context.newPage();
  await reader.goto(address);
  const text = await reader.locator('main').innerText();
  for (const part of ['Twelve invented pages', 'Method', 'We ranked 5 candidates', 'snapshot of', 'BLAKE3']) assert.ok(text.includes(part), part);
  const [wide, screen] = await reader.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= screen, `the page is ${wide} wide on a screen of ${screen}`);
  await picture(reader, 'study-report-phone', { fullPage: true });
  const csv = await reader.request.get(await reader.getByRole('link', { name: 'Ranking, CSV' }).getAttribute('href').then(h => demo.url + h));
  assert.match(await csv.text(), /^rank,best_rank/);
  for (const { foreign, errors } of [seen, phone.seen]) {
    assert.deepEqual(foreign, []);
    assert.deepEqual(errors, []);
  }
  await phone.context.close();
  await context.close();
});
