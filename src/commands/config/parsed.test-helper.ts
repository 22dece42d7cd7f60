/** Configuration texts as their programs read them. */
import assert from 'node:assert/strict';
import { parseAllDocuments } from 'yaml';
import type { ProviderMode } from '../../contract/api.ts';
import { TARGETS } from './targets.ts';
import type { Target } from './targets.ts';
import { configValues } from './values.ts';

export type Node = Readonly<Record<string, unknown>>;

/** Every document of a text, parsed strictly. */
export function parsed(target: Target, mode: ProviderMode, scheme = 'http'): Node[] {
  const domain = mode === 'forward_domain';
  const text = TARGETS[target](
    configValues(
      {
        name: 'My "App"',
        mode,
        external_host: `https://${domain ? 'login' : 'app'}.company.example`,
        internal_host: '',
        cookie_domain: domain ? 'company.example' : '',
      },
      {
        outpostUrl: `${scheme}://gatehouse.auth.svc.cluster.local:9000`,
        upstream: `${scheme}://app.web.svc.cluster.local:5000`,
        host: undefined,
      },
    ),
  );
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], [], text);
    return document.toJS() as Node;
  });
}
