// A publisher's own web server on another origin of this machine, for pages that the demo does not have.
import { createServer } from 'node:http';

/** Starts it; `pages` maps paths to HTML. Its origin is added to the demo's site, so that its pages may ask for ads. */
export async function startPublisher(demo, pages) {
  const hits = [];
  const server = createServer((request, response) => {
    hits.push({ method: request.method, url: request.url, cookie: request.headers.cookie ?? '' });
    const page = pages[request.url.split('?')[0]];
    response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(page ?? 'no such page');
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://localhost:${server.address().port}`;
  const site = await demo.api('GET', `/v1/sites/${demo.site}`);
  const spec = { ...site.spec, origins: [...site.spec.origins, origin] };
  await demo.api('PUT', `/v1/sites/${demo.site}`, spec);
  await published(demo, origin);
  return {
    origin, hits, pages,
    stop: () => new Promise(resolve => { server.closeAllConnections(); server.close(resolve); }),
  };
}

/** Waits until decisions see the new origin: bookings reach them within a moment. */
async function published(demo, origin) {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`${demo.url}/v1/decisions`, {
      method: 'POST', headers: { origin }, body: JSON.stringify({ site: demo.site, placements: [{ name: 'text' }] }),
    });
    if (answer.headers.get('access-control-allow-origin') === origin) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error('the new origin was not published');
}

/** A page that holds the tag and what is given. */
export function page(demo, body, attributes = '') {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,">
    <script async src="${demo.url}/regie.js" data-site="${demo.site}" ${attributes}></script></head><body>${body}</body></html>`;
}

/** A placement of the page. */
export const place = (name, more = '') => `<div data-regie-placement="${name}" ${more}></div>`;
