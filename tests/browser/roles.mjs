// People of every role, signed in as people are: by the link that an owner hands out, and a password of their own.
import { guarded, until } from './harness.mjs';

export const ROLES = ['owner', 'ad_operations', 'advertiser', 'read_only', 'auditor'];

/** A context in which a new person of this role is signed in. */
export async function signIn(browser, demo, role, { advertiser, ...options } = {}) {
  const email = `${role.replace('_', '-')}-${Math.random().toString(36).slice(2, 8)}@example.org`;
  const { context, seen } = await guarded(browser, options);
  const page = await context.newPage();
  const owner = await browser.newContext();
  const desk = await owner.newPage();
  await desk.goto(demo.sign_in);
  await desk.goto(`${demo.url}/console/users`);
  await desk.locator('#f-email').fill(email);
  await desk.locator('#f-name').fill(`Kim (${role})`);
  await desk.locator('#f-role').selectOption(role);
  if (advertiser) await desk.locator('#f-advertiser').selectOption(advertiser);
  await desk.locator('form[data-guard] button.primary').click();
  const link = await until('the link', async () => (await desk.content()).match(/http:\/\/[^\s"<]*set-up[^\s"<]*|http:\/\/[^\s"<]*(?:password|setup|link)[^\s"<]*/)?.[0]);
  await page.goto(link.replaceAll('&amp;', '&'));
  const fields = page.locator('input[type=password]');
  for (let i = 0; i < await fields.count(); i++) await fields.nth(i).fill('correct horse battery staple');
  await page.locator('main button').first().click();
  await page.waitForURL(/\/console/);
  await owner.close();
  return { context, seen, page };
}

/** The shape of an address: ids and months by what they are. */
export function shape(path) {
  return path.split('?')[0]
    .replace(/\/(?:[a-z]+_\d+|\d+)(?=\/|$)/g, found => `/{${found.slice(1).replace(/_?\d+$/, '') || 'n'}}`)
    .replace(/\/\d{4}-\d{2}(?=\/|$)/g, '/{month}')
    .replace(/\/\d{4}-\d{2}-\d{2}-[a-z0-9-]+/g, '/{report}')
    + (path.includes('kind=') ? `?kind=${new URL(path, 'http://x').searchParams.get('kind')}` : '');
}

/** Every page that links lead to from here: one address of each shape. */
export async function crawl(context, base, starts, max = 120) {
  const found = new Map(), open = [...starts];
  while (open.length && found.size < max) {
    const path = open.shift();
    const key = shape(path);
    if (found.has(key)) continue;
    const answer = await context.request.get(base + path, { maxRedirects: 0 });
    if (answer.status() !== 200 || !answer.headers()['content-type']?.startsWith('text/html')) continue;
    // A creative on its own, sandboxed: no page.
    if (path.endsWith('/frame') || /\/template\/\d+$/.test(path)) continue;
    found.set(key, path);
    const links = [...(await answer.text()).matchAll(/<a [^>]*?href="([^"]*)"/g)].map(m => m[1].replaceAll('&amp;', '&'));
    for (const link of links) {
      const url = new URL(link, base + path);
      if (url.origin !== new URL(base).origin || /sign-out|\/language|\/static/.test(url.pathname)) continue;
      if (/^\/(console|record|study)/.test(url.pathname)) open.push(url.pathname + url.search);
    }
  }
  return found;
}
