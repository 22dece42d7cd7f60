import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Certificates } from '../../outpost/listen/certificates.ts';
import { makeCertificate } from '../../certificates/make.ts';
import { certificateTag } from '../../contract/extension.ts';
import { fetchCertificates } from './certificates.ts';

const ONE = '6f9619ff-8b86-4d11-b42d-00cf4fc964ff';
const TWO = '7a9619ff-8b86-4d11-b42d-00cf4fc964ff';
type Pair = Awaited<ReturnType<typeof makeCertificate>>;

let first: Pair;
let second: Pair;
before(async () => {
  const make = (commonName: string) => makeCertificate({ commonName, names: [], validDays: 1, alg: 'ecdsa' });
  [first, second] = await Promise.all([make('first'), make('second')]);
});

/** A server that keeps these pairs; what is not there is 404. */
function server(pairs: Record<string, Pair>, official: boolean) {
  const asked: string[] = [];
  const fetch = async (address: string, { headers }: { headers?: Record<string, string> } = {}) => {
    const [, uuid = '', rest] = /certificatekeypairs\/([^/]+)\/(.*)$/.exec(address) ?? [];
    asked.push(rest ?? '');
    const pair = pairs[uuid];
    if (pair === undefined) return new Response('{}', { status: 404 });
    if (rest === 'view_certificate/') {
      const same = !official && headers?.['if-none-match'] === certificateTag(pair.certificate);
      return same ? new Response(null, { status: 304 }) : Response.json({ data: pair.certificate });
    }
    if (rest === 'view_private_key/') return Response.json({ data: pair.key });
    return new Response('{}', { status: 404 });
  };
  return { fetch: fetch as typeof globalThis.fetch, asked };
}

async function fetched(
  pairs: Record<string, Pair>,
  wanted: (string | null)[],
  known: Certificates = {},
  official = false,
) {
  const problems: string[] = [];
  const { fetch, asked } = server(pairs, official);
  const found = await fetchCertificates(fetch, wanted.map((certificate) => ({ certificate })), known, (uuid, text) =>
    problems.push(`${uuid} ${text}`),
  ); // prettier-ignore
  return { found, problems, asked };
}

describe('fetchCertificates', () => {
  it('fetches each certificate once, however many providers name it', async () => {
    const { found, problems, asked } = await fetched({ [ONE]: first, [TWO]: second }, [ONE, null, ONE, TWO]);
    assert.deepEqual(found, { [ONE]: first, [TWO]: second });
    assert.equal(asked.length, 4);
    assert.deepEqual(problems, []);
  });

  for (const official of [false, true]) {
    it(`looks at a key again only when the certificate differs, ${official ? 'official' : 'our'} server`, async () => {
      const same = await fetched({ [ONE]: first }, [ONE], { [ONE]: first }, official);
      assert.deepEqual([same.found, same.asked], [{ [ONE]: first }, ['view_certificate/']]);
      const { found, asked } = await fetched({ [ONE]: second }, [ONE], { [ONE]: first }, official);
      assert.deepEqual(found, { [ONE]: second });
      assert.deepEqual(asked, ['view_certificate/', 'view_private_key/']);
    });

    it(`takes an intermediate certificate that joins or leaves, ${official ? 'official' : 'our'} server`, async () => {
      const longer = { ...first, certificate: first.certificate + second.certificate };
      for (const [before, after] of [
        [first, longer],
        [longer, first],
      ] as const) {
        const { found } = await fetched({ [ONE]: after }, [ONE], { [ONE]: before }, official);
        assert.deepEqual(found, { [ONE]: after });
      }
    });
  }

  it('forgets what nobody names', async () =>
    assert.deepEqual((await fetched({}, [null], { [ONE]: first })).found, {}));

  it('keeps the last one where none can be had, and tells of it', async () => {
    for (const pairs of [{}, { [ONE]: { ...second, key: '' } }, { [ONE]: { ...second, key: first.key } }]) {
      const { found, problems } = await fetched(pairs, [ONE], { [ONE]: first });
      assert.deepEqual(found, { [ONE]: first });
      assert.match(problems.join(), new RegExp(`^${ONE} .*The last one stays in use`));
    }
  });

  it('does without one that was never there, and takes the others', async () => {
    const { found, problems } = await fetched({ [TWO]: second }, ['../x', ONE, TWO]);
    assert.deepEqual(found, { [TWO]: second });
    assert.equal(problems.length, 2);
  });
});
