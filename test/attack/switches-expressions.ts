/** Protections of scope mappings that administrators write. */
import { edit } from './support/switch.ts';
import type { Switch } from './support/switch.ts';

export const expressionSwitches: readonly Switch[] = [
  {
    rule: 'K',
    title: 'mappings lead to any host',
    edits: [
      edit(
        'outpost/proxy/backends.ts',
        'return url === undefined || entry === undefined ? undefined : { address: url.href, label: entry.text };',
        "return url === undefined ? undefined : { address: url.href, label: 'x' };",
      ),
    ],
    noticed: ['K10'],
  },
  {
    rule: 'K',
    title: 'mappings replace claims of the protocol',
    edits: [
      edit('server/proxy-provider/evaluate-scopes.ts', 'for (const name of PROTOCOL_CLAIMS) delete claims[name];', ''),
    ],
    noticed: ['K11'],
  },
  {
    rule: 'K',
    title: 'expressions see the whole row of the provider',
    edits: [edit('server/proxy-provider/expression-facts.ts', 'pk: provider.id,', '...provider, pk: provider.id,')],
    noticed: ['K12'],
  },
  {
    rule: 'K',
    title: 'whoever has an account tries mappings',
    edits: [
      edit(
        'server/api/property-mappings.ts',
        'schema: {\n            params: byUuid,\n            querystring',
        "config: { access: ['person'] },\n          schema: {\n            params: byUuid,\n            querystring",
      ),
    ],
    noticed: ['K13'],
  },
  {
    rule: 'K',
    title: 'attributes that mappings give go into every token',
    edits: [edit('server/proxy-provider/evaluate-scopes.ts', "if (who === 'none') return {};", '')],
    noticed: ['K14'],
  },
  {
    rule: 'K',
    title: 'what Python says about a failure is told as it is',
    edits: [
      edit('server/proxy-provider/run-mappings.ts', 'message: withoutValues(message, context) });', 'message });'),
    ],
    noticed: ['K14'],
  },
  {
    rule: 'A',
    title: 'outposts are not told of headers that mappings give',
    edits: [
      edit(
        'server/proxy-provider/person-headers.ts',
        'new Set<string>(await mappingHeaderNames(db))',
        'new Set<string>()',
      ),
    ],
    noticed: ['A50'],
  },
];
