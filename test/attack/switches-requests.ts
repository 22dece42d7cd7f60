/** Protections of rules A to E: headers, errors, paths, forwarded headers, redirects. */
import { edit } from './support/switch.ts';
import type { Switch } from './support/switch.ts';

export const requestSwitches: readonly Switch[] = [
  {
    rule: 'A',
    title: 'header names are compared as they are spelled',
    edits: [edit('contract/headers.ts', ".replace(/[^a-z0-9]/g, '-');", ';')],
    noticed: ['A1'],
  },
  {
    rule: 'A',
    title: 'headers of presets and own names are not managed',
    edits: [edit('outpost/sites/site.ts', 'for (const { folded } of sent) managed.add(folded);', '')],
    noticed: ['A1', 'A4'],
  },
  {
    rule: 'A',
    title: 'names of additional headers are not managed',
    edits: [
      edit(
        'outpost/proxy/request-headers.ts',
        ' || target.identity.folded.has(folded) || target.managed?.has(folded) === true',
        '',
      ),
    ],
    noticed: ['A1'],
  },
  {
    rule: 'A',
    title: 'a public path is answered without the empty headers',
    edits: [edit('outpost/dialects/permit.ts', 'site.anonymous[generation]', '{ flat: [] }')],
    noticed: ['A4'],
  },
  {
    rule: 'A',
    title: 'additional headers are saved unchecked',
    edits: [
      edit(
        'contract/headers.ts',
        'if (nameProblem !== undefined)',
        "if (TOKEN.test(name)) headers.push([name, text ?? '']);\n    else if (nameProblem !== undefined)",
      ),
    ],
    noticed: ['A5'],
  },
  {
    rule: 'A',
    title: 'a pipe in a group name stays',
    edits: [
      edit(
        'contract/headers.ts',
        'names.map((name) => name.replace(written, asInAddress)).join(separator)',
        'names.join(separator)',
      ),
    ],
    noticed: ['A6'],
  },
  {
    rule: 'A',
    title: 'headers of the private socket come in from outside',
    edits: [edit('outpost/proxy/control-plane.ts', '/^(x-gatehouse-.*|', '/^(')],
    noticed: ['A9'],
  },
  {
    rule: 'B',
    title: 'a seal is opened without its tag being checked',
    edits: [edit('outpost/session/sealed.ts', 'decipher.final(); // throws', '// throws')],
    noticed: ['B1'],
  },
  {
    rule: 'B',
    title: 'an original address that cannot be read counts as a public one',
    edits: [
      edit(
        'outpost/dialects/nginx.ts',
        "if (address?.kind === 'invalid') return refuse('original-address-invalid')",
        "if (address?.kind === 'invalid') return { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: [] }",
      ),
    ],
    noticed: ['B5'],
  },
  {
    rule: 'B',
    title: 'preflights pass undecided',
    edits: [
      edit(
        'outpost/dialects/proxy-mode.ts',
        "if (decision.verdict !== 'allow') {",
        "if (request.method === 'OPTIONS') return pass(exchange, site, { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: [] }, input);\n  if (decision.verdict !== 'allow') {",
      ),
    ],
    noticed: ['B6'],
  },
  {
    rule: 'B',
    title: 'the page "you are signed out" is a permission for reverse proxies that relay',
    edits: [edit('outpost/dialects/relayed.ts', 'status < 300 ? 401 : status', 'status')],
    noticed: ['B21'],
  },
  {
    rule: 'B',
    title: 'headers of a wrong set-up are told as they are',
    edits: [
      edit(
        'contract/misconfiguration.ts',
        'if (!TELLING_HEADERS.has(name.toLowerCase())) return LEFT_OUT;',
        "if (name === '') return LEFT_OUT;",
      ),
    ],
    noticed: ['B23'],
  },
  {
    rule: 'B',
    title: 'every request of a wrong set-up is an event',
    edits: [edit('supervise/problems.ts', 'at - last < quietMs', 'at - last < 0')],
    noticed: ['B23'],
  },
  {
    rule: 'C',
    title: 'what follows the prefix of Envoy is resolved before it is read',
    edits: [
      edit(
        'outpost/dialects/envoy.ts',
        "const path = rest.slice(ENVOY_PATH.length) || '/';",
        "const path = new URL(`http://x${rest.slice(ENVOY_PATH.length) || '/'}`).pathname;",
      ),
    ],
    noticed: ['C21'],
  },
  {
    rule: 'C',
    title: 'a fragment is part of the path',
    edits: [edit('rules/canonical-path.ts', 'const FORBIDDEN = /[\\\\# ]/;', 'const FORBIDDEN = /[\\\\]/;')],
    noticed: ['C22'],
  },
  {
    rule: 'D',
    title: 'of two original addresses the last one counts',
    edits: [
      edit(
        'outpost/listen/normalise.ts',
        "headers.forwardedUri = once(headers.forwardedUri, 'X-Forwarded-Uri', value)",
        'headers.forwardedUri = value',
      ),
    ],
    noticed: ['D23'],
  },
  {
    rule: 'D',
    title: 'strangers name the original address',
    edits: [
      edit('outpost/listen/normalise.ts', 'if (trusted) headers.forwardedUri =', 'headers.forwardedUri ='),
      edit('outpost/listen/normalise.ts', 'if (trusted) forwardedHost =', 'forwardedHost ='),
    ],
    noticed: ['D21'],
  },
  {
    rule: 'D',
    title: 'a forwarded host counts beside the Host of Envoy',
    edits: [edit('outpost/handle.ts', 'check === ENVOY && request.host', 'check === null && request.host')],
    noticed: ['D22'],
  },
  {
    rule: 'D',
    title: 'a method nobody named is the one of the question',
    edits: [
      edit(
        'outpost/dialects/relayed.ts',
        '  const method = proxy.method(request);\n  const decision = decide({',
        '  const method = proxy.method(request) ?? request.method;\n  const decision = decide({',
      ),
    ],
    noticed: ['D24'],
  },
  {
    rule: 'E',
    title: 'the original address leads wherever it says',
    edits: [
      edit(
        'outpost/dialects/refusal.ts',
        'checkReturnAddress(site, asked) ?? site.external.href',
        'asked.replace(site.external.origin, "http:")',
      ),
      edit('outpost/login/callback.ts', 'checkReturnAddress(site, state.target) ?? site.external.href', 'state.target'),
    ],
    noticed: ['E21'],
  },
  {
    rule: 'C',
    title: 'dot segments are not seen',
    edits: [edit('rules/canonical-path.ts', ' || hasDotSegment(text)', '')],
    noticed: ['C1'],
  },
  {
    rule: 'C',
    title: 'a path that servers read differently counts as it stands',
    edits: [edit('rules/canonical-path.ts', 'if (doubtful) return AMBIGUOUS;', '')],
    noticed: ['C1'],
  },
  {
    rule: 'C',
    title: 'a blank line matches everything',
    edits: [edit('rules/skip-lines.ts', "if (pattern === '') continue;", '')],
    noticed: ['C3'],
  },
  {
    rule: 'C',
    title: 'what begins like a ping is one',
    edits: [edit('outpost/handle.ts', "own?.rest === '/ping'", "own?.rest.startsWith('/ping') === true")],
    noticed: ['C2'],
  },
  {
    rule: 'C',
    title: 'two addresses that differ are no mistake',
    edits: [edit('outpost/dialects/original-address.ts', 'fromUri !== fromUrl', 'false')],
    noticed: ['C5'],
  },
  {
    rule: 'C',
    title: 'a client may name the address on /akprox/auth',
    edits: [edit('outpost/dialects/checks.ts', "rule: 'none' }", "rule: 'optional' }")],
    noticed: ['C6'],
  },
  {
    rule: 'D',
    title: 'everybody is a trusted peer',
    edits: [edit('outpost/listen/peers.ts', 'return inside(address, this.#trusted) &&', 'return true ||')],
    noticed: ['D1', 'D5'],
  },
  {
    rule: 'D',
    title: 'the left-most hop is the client',
    edits: [edit('outpost/listen/peers.ts', 'of hops.reverse()', 'of hops')],
    noticed: ['D7'],
  },
  {
    rule: 'D',
    title: 'forwarded headers of strangers reach the application',
    edits: [
      edit(
        'outpost/proxy/request-headers.ts',
        'const forwarded = FORWARDED.get(folded);',
        "const forwarded = FORWARDED.get(folded) === 'made' ? 'made' : undefined;",
      ),
    ],
    noticed: ['D8'],
  },
  {
    rule: 'E',
    title: 'a return address of any origin is taken',
    edits: [edit('outpost/login/return-address.ts', '!isInside(site, url) || ', '')],
    noticed: ['E1'],
  },
  {
    rule: 'E',
    title: 'our own endpoints are taken as target',
    edits: [
      edit(
        'outpost/login/return-address.ts',
        'if (outpostPath(url.pathname) !== undefined || outpostPath(below) !== undefined) return undefined;',
        '',
      ),
    ],
    noticed: ['E3'],
  },
  {
    rule: 'E',
    title: '`next` of the login page is taken as it is',
    edits: [
      edit(
        'server/flows/next.ts',
        "if (typeof raw !== 'string'",
        "if (typeof raw === 'string') return raw;\n  if (typeof raw !== 'string'",
      ),
    ],
    noticed: ['E5'],
  },
  {
    rule: 'E',
    title: 'a domain ends anywhere within a name',
    edits: [edit('rules/cookie-domain.ts', 'host === domain || host.endsWith(`.${domain}`)', 'host.endsWith(domain)')],
    noticed: ['E8'],
  },
  {
    rule: 'E',
    title: 'at domain level every port is taken',
    edits: [
      edit(
        'outpost/login/return-address.ts',
        "if (url.port !== '' && url.port !== URL",
        "if (url.port === '0' && url.port !== URL",
      ),
    ],
    noticed: ['E8'],
  },
  {
    rule: 'A',
    title: 'an upgrade brings its own headers',
    edits: [
      edit(
        'outpost/proxy/upgrade.ts',
        '...planFor(req, target),',
        "...planFor(req, target), requestHeaders: [...planFor(req, target).requestHeaders, 'X-Copy', String(req.headers['x-authentik-username'])],",
      ),
    ],
    noticed: ['A20'],
  },
  {
    rule: 'D',
    title: 'a check may name two applications',
    edits: [
      edit(
        'outpost/dialects/nginx.ts',
        'services.state !== undefined && namesAnotherSite(',
        'services.state === undefined && namesAnotherSite(',
      ),
    ],
    noticed: ['D3', 'D11'],
  },
  {
    rule: 'A',
    title: 'pseudo headers of HTTP/2 count as headers',
    edits: [edit('outpost/listen/http2.ts', "else if (name.startsWith(':')) continue;", '')],
    noticed: ['A40'],
  },
  {
    rule: 'D',
    title: 'anybody may announce a peer',
    edits: [edit('supervise/announced-peers.ts', "if (!trusts(socket.remoteAddress ?? '')) return hand(socket);", '')],
    noticed: ['D40'],
  },
  {
    rule: 'D',
    title: 'an announced peer is believed what the proxy would be',
    edits: [
      edit(
        'supervise/announced-peers.ts',
        "if (source !== 'itself') announce(",
        "if (source === 'itself') return hand(socket);\n      if (socket.destroyed) announce(",
      ),
    ],
    noticed: ['D41'],
  },
  {
    rule: 'D',
    title: 'an announcement is read leniently',
    edits: [
      edit('outpost/listen/proxy-protocol.ts', 'if (end >= V1_MAX || bytes[end - 1] !== 0x0d)', 'if (end >= V1_MAX)'),
    ],
    noticed: ['D42'],
  },
  {
    rule: 'B',
    title: 'every method passes as a preflight',
    edits: [edit('outpost/preflight.ts', "if (method !== 'OPTIONS') return undefined;", '')],
    noticed: ['B30'],
  },
  {
    rule: 'B',
    title: 'a preflight may carry anything',
    edits: [edit('outpost/preflight.ts', 'FORBIDDEN.has(name) ||', '')],
    noticed: ['B30'],
  },
  {
    rule: 'C',
    title: 'an asset is public in every folder',
    edits: [edit('rules/public-assets.ts', '`^/(?:${NAMES', '`/(?:${NAMES')],
    noticed: ['C30'],
  },
  {
    rule: 'D',
    title: 'nginx names the method wherever it asks',
    edits: [
      edit(
        'outpost/dialects/nginx.ts',
        "rule === 'with-method' ? originalMethod(request) : undefined",
        'originalMethod(request)',
      ),
    ],
    noticed: ['D30'],
  },
];
