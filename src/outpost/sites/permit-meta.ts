/** What forward-auth answers say about an application: made once, sent with each of them. */
import type { Generation } from '../../contract/paths.ts';
import { metaHeaders } from '../headers.ts';
import type { MetaFacts } from '../headers.ts';
import { checkHeaders } from '../write-together.ts';
import type { CheckedHeaders } from '../write-together.ts';

export type PermitMeta = Readonly<Record<Generation, CheckedHeaders>>;

export function permitMeta(facts: MetaFacts): PermitMeta {
  return {
    outpost: checkHeaders(metaHeaders(facts, 'outpost')),
    akprox: checkHeaders(metaHeaders(facts, 'akprox')),
  };
}
