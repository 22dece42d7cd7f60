/** What the health list says about one instance (spec/server.md 7.7). */
import { PUBLISHED_VERSION } from '../../contract/version.ts';

export interface InstanceHealth {
  uid: string;
  /** ISO 8601 */
  last_seen: string;
  version: string;
  golang_version: string;
  openssl_enabled: boolean;
  openssl_version: string;
  fips_enabled: boolean | null;
  version_should: string;
  version_outdated: boolean;
  build_hash: string;
  build_hash_should: string;
  hostname: string;
}

/** @param hello args of the instance's last HELLO, in whatever shape it sent them */
export function instanceHealth(uid: string, at: number, hello: Readonly<Record<string, unknown>>): InstanceHealth {
  const text = (key: string) => (typeof hello[key] === 'string' ? hello[key] : '');
  const version = text('version');
  return {
    uid,
    last_seen: new Date(at).toISOString(),
    version,
    golang_version: text('golangVersion'),
    openssl_enabled: hello['opensslEnabled'] === true,
    openssl_version: text('opensslVersion'),
    fips_enabled: null, // published: only with an enterprise licence
    version_should: PUBLISHED_VERSION,
    // A build of its own (another hash) says nothing about age; ours has no hash.
    version_outdated: version !== '' && text('buildHash') === '' && isOlder(version, PUBLISHED_VERSION),
    build_hash: text('buildHash'),
    build_hash_should: '',
    hostname: text('hostname'),
  };
}

function isOlder(version: string, than: string): boolean {
  const numbers = (text: string) => text.split(/[.+-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
  const [a, b] = [numbers(version), numbers(than)];
  for (let i = 0; i < 3; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
