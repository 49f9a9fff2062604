/* Regie's tag: asks its own server for ads, shows them labelled, reports what was seen.
 * No cookies, no third parties; storage only for a frequency token, and only with the visitor's consent. Served without comments; docs/TAG.md explains it. */
(() => {
'use strict';
const script = document.currentScript;
if (!script || (window.regie || {}).version) return;
const base = new URL(script.src).origin;
const ASK_MAX = 16, EVENTS_MAX = 64; // limits of the server, per request
const RETRY_MS = [1000, 3000, 9000, 9000]; // waits for another try: five in all
const LARGE_PX = 242500, VIEW_MS = 1000, BATCH_MS = 200;
const visible = () => document.visibilityState === 'visible';
const list = text => (text || '').split(',').map(s => s.trim()).filter(Boolean);
const make = (name, properties) => Object.assign(document.createElement(name), properties);
const style = (node, css) => { node.style.cssText = css; return node; };
let boxes = []; // one for each placement of the page
let shown = []; // what this page view showed: { what: { kind, id }, count }
let preview; // token of a signed preview link: then nothing is asked for or counted
let following, warned;

// An ad must never break its page.
const warn = error => {
  if (!warned) console.warn('regie:', error);
  warned = true;
};
const guard = work => (...given) => {
  try { return work(...given); } catch (error) { warn(error); }
};
const on = (target, name, work) => target.addEventListener(name, guard(work));
const observe = (node, options, work) => {
  const observer = new IntersectionObserver(guard(work), options);
  observer.observe(node);
  return observer;
};
// Text needs no preflight; never with cookies.
const post = (path, body, keepalive) =>
  fetch(base + path, { method: 'POST', body: JSON.stringify(body), credentials: 'omit', keepalive });

// Asking. The page speaks through data-regie-* on the script, <html> or <body>.

function facts() {
  const nodes = [script, document.documentElement, document.body];
  const said = Object.assign({}, ...nodes.map(node => node.dataset));
  const key_values = {};
  for (const { name, value } of nodes.flatMap(node => [...node.attributes])) {
    if (name.startsWith('data-regie-kv-')) key_values[name.slice(14)] = list(value);
  }
  // Query and fragment may hold what is personal: a page must want its query sent.
  const query = said.regieQuery === 'keep' ? location.search : '';
  return {
    site: said.site,
    page: {
      url: said.regieUrl || location.origin + location.pathname + query,
      language: said.regieLanguage || document.documentElement.lang || null,
      keywords: list(said.regieKeywords), topics: list(said.regieTopics), key_values
    },
    segments: list(said.regieSegments),
    consents: list(said.regieConsents),
    frequency: { page_view: shown }
  };
}

// What caps over more than a page view need, sealed by the server: kept only with a consent that the page states.
const KEPT = 'regie.frequency';
const mayKeep = ({ consents }) => consents.includes('storage') || consents.includes('political_frequency');
function kept(value) {
  try {
    if (value === undefined) return localStorage.getItem(KEPT);
    if (value) localStorage.setItem(KEPT, value); else localStorage.removeItem(KEPT);
  } catch { /* storage is switched off: caps then count by page view */ }
  return null;
}
// One request at a time over all tabs, so that none counts without the other.
const inTurn = work => navigator.locks ? navigator.locks.request(KEPT, work) : work();

function ask(wanted) {
  if (!wanted.length || preview) return;
  ask(wanted.splice(ASK_MAX));
  const turns = wanted.map(box => { box.seconds = 0; return ++box.turn; });
  const placements = wanted.map(box => ({ name: box.name }));
  const said = { ...facts(), placements };
  const asked = mayKeep(said) ? inTurn(async () => {
    said.frequency.token = kept() || undefined;
    const answer = await post('/v1/decisions', said);
    const { frequency_token: token } = await answer.clone().json().catch(() => ({}));
    if (token !== undefined) kept(token);
    return answer;
  }) : (kept(null), post('/v1/decisions', said));
  asked.then(async answer => {
    // One unknown name must not leave the whole page without ads.
    if (answer.status === 400 && wanted.length > 1) return wanted.forEach(box => ask([box]));
    if (!answer.ok) throw new Error(`${wanted[0].name}: status ${answer.status}`);
    (await answer.json()).decisions.forEach(guard((slot, i) => {
      if (turns[i] === wanted[i].turn) render(wanted[i], slot);
    }));
  }).catch(warn);
}

// Finding placements, now and whenever the page changes.

function scan() {
  boxes.filter(box => !box.node.isConnected).forEach(clear);
  boxes = boxes.filter(box => box.node.isConnected);
  const fresh = [];
  for (const node of document.querySelectorAll('[data-regie-placement]')) {
    if (boxes.some(box => box.node === node)) continue;
    const { regiePlacement: name, regieWidth: width, regieHeight: height, regieLazy: lazy } = node.dataset;
    const box = { node, name, width, height, turn: 0, seconds: 0, behaviour: {} };
    boxes.push(box);
    // Room is kept for ad and label, so that the page does not jump.
    if (height) node.style.minHeight = +height + (width < 400 ? 56 : 38) + 'px';
    if (lazy === undefined) fresh.push(box);
    else observe(node, { rootMargin: '400px' }, (entries, near) => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      near.disconnect();
      ask([box]);
    });
  }
  ask(fresh);
}

function clear(box) {
  if (box.view) box.view.update(false);
  if (box.part) box.part.remove();
  box.view = box.part = null;
}
function render(box, { ad, behaviour, fallback_html }) {
  clear(box);
  box.behaviour = behaviour || {};
  if (box.behaviour.single_page) follow();
  const width = ad && ad.width || box.width, height = ad && ad.height || box.height;
  const part = box.part = style(make('div'), `max-width:100%;margin:0 auto;${width ? `width:${width}px` : ''}`);
  const framed = properties => style(
    make('iframe', { width: width || '100%', height: height || 120, credentialless: true, ...properties }),
    'border:0;display:block;max-width:100%');
  if (!ad) {
    // The publisher's own markup for "no ad", without scripts.
    const sandbox = 'allow-popups allow-popups-to-escape-sandbox';
    if (fallback_html) part.append(framed({ sandbox, srcdoc: `<base target=_blank>${fallback_html}` }));
    return box.node.append(part);
  }
  for (const kind of ['campaign', 'ad_set', 'ad']) {
    const known = shown.find(({ what }) => what.kind === kind && what.id === ad[kind]);
    if (known) known.count++; else shown.push({ what: { kind, id: ad[kind] }, count: 1 });
  }
  if (preview) {
    const css = 'font:bold 12px/20px system-ui,sans-serif;color:#fff;background:#a04000;padding:0 8px';
    part.append(style(make('div', { textContent: 'Preview – not counted' }), css));
  }
  part.append(labelled(ad.label));
  const laid = ad.native && laidOut(box.node, ad);
  const { sandbox, label: { text, sponsor } } = ad;
  const creative = laid || framed({ sandbox, title: `${text}, ${sponsor}`, src: base + ad.frame_path });
  const begin = () => {
    if (preview || box.view || !creative.isConnected) return;
    report('impression', ad.ticket);
    box.view = whenSeen(creative, () => report('viewable', ad.ticket));
  };
  part.append(creative);
  if (!laid) on(creative, 'load', begin);
  box.node.append(part);
  if (laid) begin();
}
// Above the creative, outside its frame, in a closed shadow tree: no creative can hide it.
function labelled(label) {
  const host = style(make('div', { lang: label.language }), 'all:initial!important;display:block!important');
  host.dataset.regieLabel = '';
  if (label.promise) host.dataset.regiePromise = JSON.stringify(label.promise);
  const political = label.political ? ';border-left:3px solid #7a2ea0;background:#f7f2fa' : '';
  const font = 'font:11px/18px system-ui,sans-serif;color:#444;background:#fff;padding:0 4px;overflow-wrap:anywhere';
  const line = style(make('div'), font + political);
  const said = [label.sponsor, label.payer, label.controller, label.linked, label.targeted].filter(Boolean);
  const text = style(make('b', { textContent: label.text }), 'color:#111');
  const notice = make('a', { href: base + label.notice_path, target: '_blank', textContent: label.notice_text });
  line.append(text, ` ${said.join(' · ')} `, style(notice, 'color:#0b57a4;white-space:nowrap'));
  host.attachShadow({ mode: 'closed' }).append(line);
  return host;
}
// A <template> in the placement lays out native and text ads in the page's style. Only text is filled in.
function laidOut(node, { native, click_path }) {
  const template = node.querySelector('template');
  if (!template) return;
  const to = { href: base + click_path, target: '_blank', rel: 'sponsored' };
  const link = style(make('a', to), 'display:block;color:inherit;text-decoration:none');
  link.append(template.content.cloneNode(true));
  for (const slot of link.querySelectorAll('[data-regie-slot]')) {
    const name = slot.dataset.regieSlot, value = native[name === 'image' ? 'image_path' : name];
    if (!value) slot.remove();
    else if (name === 'image') Object.assign(slot, { alt: native.alt, src: base + value });
    else slot.textContent = value;
  }
  return link;
}

// Seen (MRC): half of the pixels, 30% of a large ad, for one continuous second in a visible tab.
function whenSeen(node, done) {
  let timer, seen;
  const view = { enough: false, update(enough) {
    clearTimeout(timer);
    view.enough = enough;
    if (enough && visible() && !seen) timer = setTimeout(() => { seen = true; done(); }, VIEW_MS);
  } };
  observe(node, { threshold: [0, 0.3, 0.5, 1] }, entries => {
    const { boundingClientRect: size, intersectionRatio: ratio } = entries[entries.length - 1];
    const enough = ratio >= (size.width * size.height >= LARGE_PX ? 0.3 : 0.5);
    if (enough !== view.enough) view.update(enough);
  });
  return view;
}

// Reporting, in batches; again with the same tickets when there is no answer.
const failed = new Set(); // batches that wait for another try
let waiting = [], due;
function report(kind, ticket) {
  waiting.push({ kind, ticket });
  due = due || setTimeout(flush, BATCH_MS);
}
function flush() {
  due = clearTimeout(due);
  while (waiting.length) send(waiting.splice(0, EVENTS_MAX), 0);
}
function send(events, tries) {
  post('/v1/events', { events }, true).then(answer => {
    if (answer.status >= 500 || answer.status === 429) throw new Error(`events: status ${answer.status}`);
  }).catch(error => {
    if (tries >= RETRY_MS.length) return warn(error);
    failed.add(events);
    setTimeout(() => failed.delete(events) && send(events, tries + 1), RETRY_MS[tries]);
  });
}
// The page goes: what has no answer leaves by beacon.
function leave() {
  due = clearTimeout(due);
  waiting.push(...[...failed].flat());
  failed.clear();
  while (waiting.length) {
    navigator.sendBeacon(base + '/v1/events', JSON.stringify({ events: waiting.splice(0, EVENTS_MAX) }));
  }
}

// Refresh counts seconds in view, in a visible tab; never below 30.
function tick() {
  ask(boxes.filter(box => {
    const every = box.behaviour.refresh_s;
    if (visible() && box.view && box.view.enough) box.seconds++;
    return every >= 30 && box.seconds >= every;
  }));
}
function follow() {
  if (following) return;
  following = true;
  const here = () => location.pathname + location.search;
  let page = here();
  const moved = () => {
    if (here() === page) return;
    page = here();
    shown = [];
    // The application draws its new page first.
    setTimeout(guard(() => { scan(); ask(boxes.filter(box => box.behaviour.single_page)); }), 50);
  };
  for (const name of ['pushState', 'replaceState']) {
    const original = history[name];
    history[name] = function (...given) {
      original.apply(this, given);
      moved();
    };
  }
  on(window, 'popstate', moved);
}
// A signed link shows a draft on the real page, marked; nothing else is asked for, nothing is counted.
function showPreview() {
  const found = /regie-preview=([^&]+)/.exec(location.hash);
  if (!found || preview === found[1]) return found;
  preview = found[1];
  fetch(base + '/v1/previews/' + preview, { credentials: 'omit' }).then(async answer => {
    const slot = await answer.json();
    if (!answer.ok) throw new Error(slot.title);
    scan();
    const box = boxes.find(box => box.name === slot.name);
    if (!box) throw new Error(`no placement ${slot.name} on this page`);
    render(box, slot);
  }).catch(warn);
  return true;
}
const start = guard(() => {
  let soon;
  const find = guard(() => { soon = 0; scan(); });
  if (!showPreview()) find();
  new MutationObserver(() => { soon = soon || setTimeout(find, 100); }).observe(document.documentElement, { childList: true, subtree: true });
  on(window, 'hashchange', showPreview);
  on(window, 'pagehide', leave);
  on(document, 'visibilitychange', () => {
    for (const { view } of boxes) if (view) view.update(view.enough);
    if (!visible()) flush();
  });
  setInterval(guard(tick), 1000);
});
window.regie = {
  version: '1',
  refresh: guard(() => { scan(); ask(boxes.filter(box => box.part)); })
};
if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
else start();
})();
