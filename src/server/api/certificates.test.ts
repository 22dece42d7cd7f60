import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { certificateTag } from '../../contract/extension.ts';
import { makeCertificate } from '../../certificates/make.ts';
import type { Api, Flows } from './server.test-helper.ts';
import { EMBEDDED_TOKEN, flows, startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

const PATH = 'crypto/certificatekeypairs/';

interface Pair {
  pk: string;
  name: string;
  [key: string]: unknown;
}

const make = (commonName: string, alg: 'rsa' | 'ecdsa' = 'ecdsa') =>
  makeCertificate({
    commonName,
    organization: 'Acme, Ltd',
    names: [{ type: 'dns', value: commonName }],
    validDays: 9,
    alg,
  });

describe('crypto/certificatekeypairs', () => {
  let api: Api;
  let flow: Flows;
  let first: Awaited<ReturnType<typeof make>>;
  let second: typeof first;
  before(async () => {
    api = await startApi();
    flow = await flows(api);
    [first, second] = await Promise.all([make('first.test'), make('second.test', 'rsa')]);
  });
  after(() => api.close());

  let count = 0;
  const create = async (pair = first, name = `pair ${(count += 1)}`) =>
    decode<Pair>(
      strict.certificate,
      await api.ok('POST', PATH, { name, certificate_data: pair.certificate, key_data: pair.key }),
    );
  const problems = async (body: Record<string, unknown>, path = PATH, method: 'POST' | 'PATCH' = 'POST') => {
    const answer = await api.call(method, path, body);
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    return Object.keys(answer.body as object);
  };
  const provider = async (name: string, certificate: string | null) =>
    api.ok('POST', 'providers/proxy/', {
      ...flow,
      name,
      mode: 'forward_single',
      external_host: `https://${name}.example.test`,
      certificate,
    });
  const events = async () => {
    const page = (await api.ok('GET', 'events/events/?action=secret_view')) as {
      results: { context: { type?: string; model: { name: string } } }[];
    };
    return page.results.map(({ context }) => [context.type, context.model.name]);
  };

  it('stores a pair and tells of it, without the key', async () => {
    const made = await create(first, 'mine');
    const certificate = new X509Certificate(first.certificate);
    assert.equal(made['fingerprint_sha256'], certificate.fingerprint256.toLowerCase());
    assert.equal(made['fingerprint_sha1'], certificate.fingerprint.toLowerCase());
    assert.equal(made['cert_subject'], 'O=Acme\\, Ltd,CN=first.test');
    assert.equal(Date.parse(String(made['cert_expiry'])), Date.parse(certificate.validTo));
    assert.deepEqual([made['private_key_available'], made['key_type'], made['managed']], [true, 'ec', null]);
    assert.equal(made['private_key_download_url'], `/api/v3/${PATH}${made.pk}/view_private_key/?download`);
    decode(strict.certificate, await api.ok('GET', `${PATH}${made.pk}/`));
    const bare = decode<Pair>(strict.certificate, await api.ok('GET', `${PATH}${made.pk}/?include_details=false`));
    assert.deepEqual([bare['cert_subject'], bare['private_key_available']], [null, true]);
    const row = await api.ctx.db.selectFrom('certificate_keypair').selectAll().executeTakeFirstOrThrow();
    assert.match(row.key, /^v1\./);
  });

  it('shows both halves, and writes that down', async () => {
    const { pk } = await create(second, 'shown');
    assert.deepEqual(await api.ok('GET', `${PATH}${pk}/view_certificate/`), { data: second.certificate });
    assert.deepEqual(await api.ok('GET', `${PATH}${pk}/view_private_key/`), { data: second.key });
    assert.deepEqual(new Set((await events()).map(String)), new Set(['certificate,shown', 'private_key,shown']));
  });

  it('shows nothing to who has the certificate, and writes nothing down', async () => {
    const { pk } = await create(first, 'known');
    const ask = (certificate: string) =>
      api.call('GET', `${PATH}${pk}/view_certificate/`, undefined, {
        headers: { 'if-none-match': certificateTag(certificate) },
      });
    assert.equal((await ask(first.certificate)).status, 304);
    assert.ok(!(await events()).some(([, name]) => name === 'known'));
    // a chain with the same first certificate is another one
    const other = await ask(first.certificate + second.certificate);
    assert.deepEqual([other.status, other.body], [200, { data: first.certificate }]);
    assert.ok((await events()).some(([, name]) => name === 'known'));
  });

  it('finds pairs by name and by whether they have a key', async () => {
    await api.ok('POST', PATH, { name: 'only a certificate', certificate_data: first.certificate });
    const names = async (query: string) =>
      decodePage<Pair>(strict.certificate, await api.ok('GET', `${PATH}?${query}`)).map(({ name }) => name);
    assert.deepEqual(await names('name=shown'), ['shown']);
    assert.ok((await names('')).includes('only a certificate'));
    assert.ok(!(await names('has_key=true')).includes('only a certificate'));
    assert.deepEqual(await names('search=ONLY'), ['only a certificate']);
    assert.deepEqual(await names('managed=x'), []);
  });

  it('keeps a chain as it was given, and looks at the first certificate', async () => {
    const chain = `subject: first\n${first.certificate}${second.certificate}`;
    const made = await create({ certificate: chain, key: first.key });
    assert.deepEqual(await api.ok('GET', `${PATH}${made.pk}/view_certificate/`), { data: chain });
    assert.deepEqual(
      await problems({ name: 'x', certificate_data: second.certificate + first.certificate, key_data: first.key }),
      ['key_data'],
    );
  });

  it('takes keys in their older forms too', async () => {
    const key = execFileSync('openssl', ['rsa', '-traditional'], {
      input: second.key,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    assert.match(key, /BEGIN RSA PRIVATE KEY/);
    await create({ ...second, key });
  });

  it('names every problem by field', async () => {
    const good = { name: 'wrong', certificate_data: first.certificate, key_data: first.key };
    assert.deepEqual(await problems({ ...good, name: 'mine' }), ['name']);
    assert.deepEqual(await problems({ ...good, certificate_data: 'x', key_data: 'y' }), [
      'certificate_data',
      'key_data',
    ]);
    assert.deepEqual(await problems({ ...good, key_data: second.key }), ['key_data']);
    assert.deepEqual(await problems({ ...good, certificate_data: first.certificate.slice(0, 200) }), [
      'certificate_data',
    ]);
    assert.deepEqual(await problems({ ...good, certificate_data: first.certificate + first.key }), [
      'certificate_data',
    ]);
    const locked = execFileSync('openssl', ['pkcs8', '-topk8', '-passout', 'pass:x'], {
      input: first.key,
      encoding: 'utf8',
    });
    const answer = await api.call('POST', PATH, { ...good, key_data: locked });
    assert.match(JSON.stringify(answer.body), /passphrase/);
    assert.deepEqual(await problems({ name: 'x' }), ['certificate_data']);
  });

  it('changes a pair as a whole: a new certificate needs a key that fits', async () => {
    const { pk, name } = await create();
    assert.deepEqual(await problems({ certificate_data: second.certificate }, `${PATH}${pk}/`, 'PATCH'), ['key_data']);
    const changed = decode<Pair>(
      strict.certificate,
      await api.ok('PATCH', `${PATH}${pk}/`, { certificate_data: second.certificate, key_data: second.key }),
    );
    assert.deepEqual([changed.name, changed['key_type']], [name, 'rsa']);
    const same = await api.ok('GET', `${PATH}${pk}/`);
    await api.ok('PUT', `${PATH}${pk}/`, { ...same, name: 'renamed', certificate_data: second.certificate });
    assert.deepEqual(await api.ok('GET', `${PATH}${pk}/view_private_key/`), { data: second.key });
  });

  it('generates self-signed pairs', async () => {
    for (const alg of ['rsa', 'ecdsa'] as const) {
      const made = decode<Pair>(
        strict.certificate,
        await api.ok('POST', `${PATH}generate/`, {
          common_name: `made ${alg}`,
          subject_alt_name: 'a.test, *.b.test,10.0.0.5',
          validity_days: 30,
          alg,
        }),
      );
      assert.deepEqual([made.name, made['key_type']], [`made ${alg}`, alg === 'rsa' ? 'rsa' : 'ec']);
      const { data } = (await api.ok('GET', `${PATH}${made.pk}/view_certificate/`)) as { data: string };
      assert.equal(new X509Certificate(data).subjectAltName, 'DNS:a.test, DNS:*.b.test, IP Address:10.0.0.5');
    }
    assert.deepEqual(await problems({ common_name: 'made rsa', validity_days: 3 }, `${PATH}generate/`), ['name']);
    assert.deepEqual(await problems({ common_name: 'x', validity_days: 0, alg: 'dsa' }, `${PATH}generate/`), [
      'validity_days',
      'alg',
    ]);
  });

  it('is served by providers, when it has a key', async () => {
    const pair = await create();
    const made = await provider('served', pair.pk);
    assert.equal(made['certificate'], pair.pk);
    const found = decodePage<Pair>(
      strict.proxyProvider,
      await api.ok('GET', `providers/proxy/?certificate__name__iexact=${encodeURIComponent(pair.name.toUpperCase())}`),
    );
    assert.deepEqual(found.map(({ name }) => name), ['served']); // prettier-ignore
    const other = decodePage(strict.proxyProvider, await api.ok('GET', 'providers/proxy/?certificate__name__iexact=x'));
    assert.deepEqual(other, []);

    const keyless = await api.ok('POST', PATH, { name: 'no key', certificate_data: first.certificate });
    const refused = await api.call('PATCH', `providers/proxy/${String(made['pk'])}/`, {
      mode: 'forward_single',
      certificate: keyless['pk'],
    });
    assert.equal(refused.status, 400);
    assert.match(JSON.stringify(refused.body), /certificate.*no private key/);
    assert.deepEqual(await problems({ key_data: '' }, `${PATH}${pair.pk}/`, 'PATCH'), ['key_data']);
    await api.ok('PATCH', `providers/proxy/${String(made['pk'])}/`, { mode: 'forward_single', certificate: '' });
    assert.equal((await api.ok('GET', `providers/proxy/${String(made['pk'])}/`))['certificate'], null);
  });

  it('leaves providers without one when it is deleted', async () => {
    const pair = await create();
    const made = await provider('left', pair.pk);
    assert.equal((await api.call('DELETE', `${PATH}${pair.pk}/`)).status, 204);
    assert.equal((await api.ok('GET', `providers/proxy/${String(made['pk'])}/`))['certificate'], null);
    assert.equal((await api.call('GET', `${PATH}${pair.pk}/`)).status, 404);
  });

  it('is for superusers, and for the outpost that serves it', async () => {
    const [mine, other] = [await create(), await create()];
    const made = await provider('embedded', mine.pk);
    const outposts = (await api.ok('GET', 'outposts/instances/')) as { results: { pk: string; providers: number[] }[] };
    const { pk, providers } = outposts.results[0]!;
    await api.ok('PATCH', `outposts/instances/${pk}/`, { providers: [...providers, made['pk']] });
    const asOutpost = { token: EMBEDDED_TOKEN, internal: true };
    for (const rest of ['', 'view_certificate/', 'view_private_key/']) {
      const ask = (pair: Pair, options: object) => api.call('GET', `${PATH}${pair.pk}/${rest}`, undefined, options);
      assert.equal((await ask(mine, asOutpost)).status, 200, rest);
      assert.equal((await ask(other, asOutpost)).status, 404, rest);
      assert.equal((await ask(mine, { token: '' })).status, 403, rest);
    }
    for (const [method, path] of [['GET', PATH], ['POST', PATH], ['DELETE', `${PATH}${mine.pk}/`], ['POST', `${PATH}generate/`]] as const) {
      assert.equal((await api.call(method, path, method === 'POST' ? {} : undefined, asOutpost)).status, 403, path);
    } // prettier-ignore
  });
});
