import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SiteApplications } from './applications.ts';
import { readPath } from '../../rules/canonical-path.ts';

const bound = (slug: string, host: string, path = '/') => ({ slug, name: slug.toUpperCase(), host, path });
const applications = new SiteApplications({
  bound: [
    bound('wiki', 'wiki.example.test'),
    bound('shop', 'shop.example.test'),
    bound('admin', 'shop.example.test', '/admin'),
    bound('help', 'auth.example.test', '/help'),
  ],
  own: { slug: 'all', name: 'All' },
  domain: 'example.test',
  authenticationHost: 'auth.example.test',
  meta: { jwks: '', outpost: '', provider: '', application: 'all', managed: new Set(), sent: [] },
});
const asked = (hosts: string[], path?: string) => {
  const found = applications.asked(hosts, path === undefined ? undefined : readPath(path));
  return found === 'conflict' ? found : found.map(({ slug }) => slug).join();
};

describe('applications asked about', () => {
  const table: [string, string[], string | undefined, string][] = [
    ['one host', ['wiki.example.test', 'wiki.example.test'], '/x', 'wiki'],
    ['with ports and a dot at the end', ['wiki.example.test.:8443', 'wiki.example.test:443'], '/x', 'wiki'],
    ['the rest of the domain', ['other.example.test', 'other.example.test'], '/x', 'all'],
    ['a service called from inside', ['wiki.example.test', 'outpost:9000'], '/x', 'wiki'],
    ['by address', ['wiki.example.test', '10.0.0.1:9000'], '/x', 'wiki'],
    ['by IPv6 address', ['wiki.example.test', '[::1]:9000'], '/x', 'wiki'],
    ['through the authentication host', ['auth.example.test', 'wiki.example.test'], '/x', 'wiki'],
    ['the authentication host itself', ['auth.example.test', 'auth.example.test'], '/x', 'all'],
    ['a path of the authentication host', ['auth.example.test'], '/help/x', 'help'],
    ['two names, one application', ['a.example.test', 'b.example.test'], '/x', 'all'],
    ['two applications', ['wiki.example.test', 'shop.example.test'], '/x', 'conflict'],
    ['an application and the rest', ['wiki.example.test', 'other.example.test'], '/x', 'conflict'],
    ['an application and the rest, turned', ['other.example.test', 'wiki.example.test'], '/x', 'conflict'],
    ['a look-alike says nothing', ['wiki.example.test', 'shop.evilexample.test'], '/x', 'wiki'],
    ['no path', ['shop.example.test'], undefined, 'admin,shop'],
    ['a path', ['shop.example.test'], '/admin/users', 'admin'],
    ['an encoded path', ['shop.example.test'], '/%61dmin/users', 'admin'],
    ['an ambiguous path', ['shop.example.test'], '/x%2fadmin', 'admin,shop'],
    ['a path with parameters', ['shop.example.test'], '/admin;x/users', 'shop,admin'],
    ['merged slashes', ['shop.example.test'], '//admin', 'shop,admin'],
  ];
  for (const [what, hosts, path, expected] of table) it(what, () => assert.equal(asked(hosts, path), expected));

  it('reads an address', () => {
    const at = (address: string) => applications.at(address, true).map(({ slug }) => slug);
    assert.deepEqual(at('https://shop.example.test:8443/admin?x=1'), ['admin']);
    assert.deepEqual(at('https://wiki.example.test/'), ['wiki']);
    assert.deepEqual(at('https://other.example.test/admin'), ['all']);
    const whole = applications.at('https://shop.example.test/x', false).map(({ slug }) => slug);
    assert.deepEqual(whole, ['admin', 'shop']);
  });
});
