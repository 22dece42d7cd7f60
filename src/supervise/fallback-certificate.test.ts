import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { makeCertificate } from '../certificates/make.ts';
import { fallbackCertificate } from './fallback-certificate.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-fallback-'));
after(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, 'outpost', 'fallback-certificate.pem');
const DAY_MS = 86_400_000;

describe('fallbackCertificate', () => {
  it('is made once, with the published contents, kept for this user only, and kept over starts', async () => {
    const first = await fallbackCertificate(folder, makeCertificate);
    assert.equal(first.made, true);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const certificate = new X509Certificate(first.pair.certificate);
    assert.equal(certificate.subject, 'CN=authentik default certificate\nO=authentik');
    assert.equal(certificate.subjectAltName, 'DNS:*');
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
    assert.equal(certificate.serialNumber.length, 32);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
    assert.match(first.pair.key, /^-----BEGIN PRIVATE KEY-----/);
    assert.deepEqual(await fallbackCertificate(folder, makeCertificate), { pair: first.pair, made: false });
  });

  it('is made anew a month before it runs out', async () => {
    const { pair } = await fallbackCertificate(folder, makeCertificate);
    const at = (days: number) => fallbackCertificate(folder, makeCertificate, Date.now() + days * DAY_MS);
    assert.deepEqual((await at(334)).made, false);
    const next = await at(336);
    assert.equal(next.made, true);
    assert.notEqual(next.pair.certificate, pair.certificate);
  });

  it('is made anew each time where there is no folder', async () => {
    const [first, second] = [
      await fallbackCertificate(undefined, makeCertificate),
      await fallbackCertificate(undefined, makeCertificate),
    ];
    assert.deepEqual([first.made, second.made], [true, true]);
    assert.notEqual(first.pair.key, second.pair.key);
  });

  it('is made anew when the file is damaged', async () => {
    for (const text of ['', 'nonsense', readFileSync(file, 'utf8').slice(0, 1500)]) {
      writeFileSync(file, text);
      assert.equal((await fallbackCertificate(folder, makeCertificate)).made, true);
    }
  });
});
