// Draws the demo's picture ads (PNG) from the project's own vector drawings. Run by hand after a drawing changes:
//   npm ci && npm run draw
import { chromium } from 'playwright-core';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../crates/regie/assets/demo');
const art = name => readFileSync(join(folder, `${name}.svg`), 'utf8');
const FONT = "Georgia,'DejaVu Serif',serif";

// Thumbnails of native ads are the drawing alone.
const plain = (name, width = 320, height = 180) => ({
  file: name, width, height, html: `<style>svg{width:${width}px;height:${height}px;display:block}</style>${art(name)}`,
});
// The guesthouse's picture ads carry their words in the picture.
const guesthouse = [
  {
    file: 'guesthouse-300x250', width: 300, height: 250,
    html: `<style>.a{position:absolute;inset:0}.a svg{width:380px;height:250px;margin-left:-10px}
      .t{position:absolute;left:16px;top:14px;color:#fff;font:700 25px/1.12 ${FONT};text-shadow:0 1px 6px #14224f}
      .n{position:absolute;left:16px;top:76px;color:#cfd6f3;font:600 12px/1.3 system-ui,sans-serif}
      .c{position:absolute;left:16px;bottom:10px;background:#ffd76a;color:#14224f;font:700 12px system-ui,sans-serif;padding:7px 11px;border-radius:16px}</style>
      <div class=a>${art('lighthouse')}</div><div class=t>Sleep where<br>the light turns</div>
      <div class=n>Lighthouse<br>Guesthouse</div><div class=c>See rooms</div>`,
  },
  {
    file: 'guesthouse-728x90', width: 728, height: 90,
    html: `<style>body{background:#14224f}.a{position:absolute;right:0;top:0;width:260px;height:90px;overflow:hidden}.a svg{width:260px;height:146px;margin-top:-36px}
      .a:after{content:'';position:absolute;inset:0;background:linear-gradient(90deg,#14224f,transparent 40%)}
      .t{position:absolute;left:20px;top:15px;color:#fff;font:700 26px/1.1 ${FONT}}
      .n{position:absolute;left:20px;top:53px;color:#cfd6f3;font:500 14px system-ui,sans-serif}
      .c{position:absolute;left:448px;top:29px;background:#ffd76a;color:#14224f;font:700 14px system-ui,sans-serif;padding:8px 14px;border-radius:18px}</style>
      <div class=a>${art('lighthouse')}</div><div class=t>Sleep where the light turns</div>
      <div class=n>Lighthouse Guesthouse, Port Brume – from 64 a night</div><div class=c>See rooms</div>`,
  },
];
const pictures = [...guesthouse, plain('opera'), plain('coffee'), plain('trail'), plain('old-quay')];

const browser = await chromium.launch({
  executablePath: process.env.REGIE_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'],
});
const page = await browser.newPage();
for (const { file, width, height, html } of pictures) {
  await page.setViewportSize({ width, height });
  await page.setContent(`<!doctype html><meta charset=utf-8><style>body{margin:0;position:relative;height:${height}px}</style>${html}`);
  const bytes = await page.screenshot({ path: join(folder, `${file}.png`) });
  console.log(`${file}.png ${width}x${height} ${bytes.length} bytes`);
}
await browser.close();
