// The page that verifies an entry, saved as a file and opened in Chromium: with a log, a witness and proofs that others made.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launch, missing } from './harness.mjs';

const why = missing();
if (why) console.log(`SKIP the page that verifies: ${why}`);

const file = fileURLToPath(new URL('../../crates/regie/assets/verify.html', import.meta.url));
const vectors = JSON.parse(readFileSync(new URL('../../crates/record/tests/interop/vectors.json', import.meta.url)));

test('a saved page verifies with the policy of whoever opens it', { skip: why ?? false }, async () => {
  const browser = await launch();
  const page = await browser.newPage();
  await page.goto(`file://${file}`);
  const cosigned = vectors.answers.findLast(answer => answer.status === 200).answer;
  // An entry is shown as JSON; the vectors' leaves are words, which the page says, after the proof was accepted.
  await page.evaluate(() => { const parse = JSON.parse; JSON.parse = text => { try { return parse(text); } catch { return text; } }; });
  const proof = `c2sp.org/tlog-proof@v1\nindex 256\n${vectors.inclusion['256'].join('\n')}\n\n${vectors.notes['600']}${cosigned}`;
  const policy = `log ${vectors.log_vkey}\nwitness W ${vectors.witness_vkey}\nquorum W\n`;
  const verdict = async (policy, proof, leaf) => {
    await page.fill('#policy', policy);
    await page.fill('#proof', proof);
    await page.fill('#leaf', leaf);
    await page.click('button');
    await page.waitForFunction(() => document.getElementById('verdict').className !== '');
    return page.textContent('#verdict');
  };
  assert.match(await verdict(policy, proof, 'leaf 256'), /^Verified/);
  assert.match(await verdict(policy.replace('quorum W', 'quorum none'), proof, 'leaf 256'), /^Consistent, unwitnessed/);
  assert.match(await verdict(policy, proof.replace(cosigned, ''), 'leaf 256'), /^Consistent, unwitnessed/);
  assert.match(await verdict(policy, proof, 'leaf 257'), /^NOT verified/);
  assert.match(await verdict(policy, proof.replace('\n600\n', '\n601\n'), 'leaf 256'), /^NOT verified/);
  assert.match(await verdict(policy, proof.replace('index 256', 'index 255'), 'leaf 256'), /^NOT verified/);
  assert.match(await verdict('quorum none\n', proof, 'leaf 256'), /names no log/);
  // It shows its own hash, and away from the publisher's site it does not warn of the publisher.
  const script = /<script id="code">([\s\S]*)<\/script>/.exec(readFileSync(file, 'utf8'))[1];
  assert.equal(await page.textContent('#hash'), createHash('sha256').update(script).digest('hex'));
  assert.equal(await page.isHidden('#whose'), true);
  await browser.close();
});
