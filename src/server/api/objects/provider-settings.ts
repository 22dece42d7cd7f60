/** Settings of a provider beyond the published ones (contract/provider-settings.ts). */
import { z } from 'zod';
import { HEADER_PRESETS } from '../../../contract/header-presets.ts';
import { RULE_EFFECTS } from '../../../contract/provider-settings.ts';

const AccessRule = z.strictObject({
  match: z.enum(['glob', 'regex']).meta({ description: 'glob: the whole path; regex: RE2, anywhere in the path.' }),
  pattern: z.string().min(1).max(2000),
  methods: z.array(z.string().regex(/^[A-Z]{1,20}$/, 'Give methods in capital letters, such as GET.')).max(20),
  effect: z.enum(RULE_EFFECTS),
  groups: z.array(z.string().min(1)).max(100),
});

const ClaimHeader = z.strictObject({
  name: z.string().max(100),
  claim: z.string().max(200).meta({ description: 'A claim of the token; lists are joined with |.' }),
});

export const ProviderSettings = z.strictObject({
  host: z.enum(['backend', 'original']).meta({ description: 'Which Host the application sees in proxy mode.' }),
  sign_out: z.enum(['application', 'everything']).meta({ description: 'What signing out of the application ends.' }),
  access_rules: z.array(AccessRule).max(1000).meta({ description: 'Rules for paths; the first that matches decides.' }),
  access_default: z.enum(['signed_in', 'public', 'deny']).meta({ description: 'What holds where no rule matches.' }),
  login_answer: z
    .enum(['by_client', 'published'])
    .meta({ description: 'Whether clients that cannot show a page get 401 or the published redirect.' }),
  preflight: z
    .enum(['login', 'pass', 'answer'])
    .meta({ description: 'What becomes of CORS preflights of people who are not signed in.' }),
  preflight_origins: z.array(z.string()).max(100).meta({ description: 'Origins that preflight: answer allows.' }),
  public_assets: z.boolean().meta({ description: 'Whether web app manifests and the like are public.' }),
  websocket_origins: z
    .array(z.string())
    .max(100)
    .meta({ description: 'Origins whose pages may open WebSockets, beside the own one; * = all.' }),
  upstream_ca: z.string().max(100_000).meta({ description: 'PEM of the authority of the application’s certificate.' }),
  header_presets: z
    .array(z.enum(HEADER_PRESETS))
    .max(10)
    .meta({ description: 'Sets of headers sent beside the published ones.' }),
  header_claims: z
    .array(ClaimHeader)
    .max(50)
    .meta({ description: 'Headers with names of your own, in place of those of a preset.' }),
  backend_hosts: z
    .array(z.string())
    .max(200)
    .meta({ description: 'Hosts that scope mappings may lead people to in proxy mode, beside that of internal_host.' }),
});
