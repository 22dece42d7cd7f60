/** Protections that can be broken one at a time. */
import type { Rule } from './support/case.ts';
import type { Edit } from './support/mutate.ts';

export interface Switch {
  rule: Rule;
  title: string;
  edits: readonly Edit[];
  /** cases of the rule, of which at least one must fail */
  noticed: readonly string[];
}

const edit = (file: string, find: string, replace: string): Edit => ({ file, find, replace });

export const switches: readonly Switch[] = [
  {
    rule: 'A',
    title: 'header names are compared as they are spelled',
    edits: [edit('contract/headers.ts', ".replace(/[^a-z0-9]/g, '-');", ';')],
    noticed: ['A1'],
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
        'if (!TOKEN.test(name))',
        'if (TOKEN.test(name)) headers.push([name, text]);\n    else if (!TOKEN.test(name))',
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
        "names.map((n) => (n.includes('|') ? n.replaceAll('|', '%7C') : n)).join('|')",
        "names.join('|')",
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
    edits: [
      edit(
        'outpost/session/sealed.ts',
        "[decipher.update(text, 'base64url'), decipher.final()]",
        "[decipher.update(text, 'base64url')]",
      ),
    ],
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
        "if (request.method === 'OPTIONS') return pass(exchange, site, { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: [] });\n  if (decision.verdict !== 'allow') {",
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
    rule: 'F',
    title: 'a foreign redirect URI is accepted',
    edits: [
      edit(
        'server/proxy-provider/redirect-uris.ts',
        'new Set([...redirectUris(externalHost)',
        "new Set(['https://evil.test/', ...redirectUris(externalHost)",
      ),
    ],
    noticed: ['F1'],
  },
  {
    rule: 'F',
    title: 'a code works again',
    edits: [
      edit(
        'server/oidc/adapter.ts',
        'return artefact.consumed === null\n      ? artefact.payload\n      : { ...artefact.payload, consumed: Math.floor(artefact.consumed / 1000) };',
        'return artefact.payload;',
      ),
      edit(
        'server/oidc/adapter.ts',
        'if (await consumeArtefact(ctx, this.#model, id)) return;',
        'await consumeArtefact(ctx, this.#model, id);\n    if (artefact !== undefined) return;',
      ),
    ],
    noticed: ['F2'],
  },
  {
    rule: 'F',
    title: 'introspection tells about the tokens of others',
    edits: [
      edit('server/oidc/introspect.ts', "formOf(request).text('token'), client))", "formOf(request).text('token')))"),
    ],
    noticed: ['F6'],
  },
  {
    rule: 'F',
    title: 'neither PKCE nor a nonce is used',
    edits: [
      edit('outpost/login/authorize.ts', 'code_challenge: attempt.codeChallenge,', ''),
      edit('outpost/login/authorize.ts', "code_challenge_method: 'S256',", ''),
      edit('outpost/login/authorize.ts', 'nonce: attempt.nonce,', ''),
      edit('outpost/login/redeem.ts', 'secrets.verifier,', 'oauth.nopkce,'),
      edit('outpost/login/redeem.ts', 'expectedNonce: secrets.nonce,', ''),
      edit('outpost/login/redeem.ts', 'identity.nonce !== secrets.nonce || ', ''),
    ],
    noticed: ['F4'],
  },
  {
    rule: 'F',
    title: 'tokens outlive their session',
    edits: [
      edit('server/oidc/tokens.ts', 'if (live === undefined || live.user.uid !== sub) return undefined;', ''),
      edit(
        'server/oidc/tokens.ts',
        'if ((await findArtefact(ctx, ACCESS_TOKEN, uid)) === undefined) return undefined;',
        '',
      ),
    ],
    noticed: ['F12'],
  },
  {
    rule: 'G',
    title: 'an attempt is not bound to its browser',
    edits: [
      edit(
        'outpost/session/attempt.ts',
        'let state = await this.#sealState({ id, target, round, created: now, purpose });',
        'let state = await this.#sealState({ ...secrets, target, round, created: now, purpose });',
      ),
      edit('outpost/login/callback.ts', 'site.attempts.secrets(state.id, cookies)', 'state'),
    ],
    noticed: ['G1'],
  },
  {
    rule: 'G',
    title: 'forms may come from anywhere',
    edits: [edit('server/flows/same-origin.ts', "if (origin === 'other') throw refusal('not-same-origin');", '')],
    noticed: ['G8'],
  },
  {
    rule: 'G',
    title: 'the API takes writes with the session alone',
    edits: [
      edit(
        'server/api/authenticate.ts',
        '!SAFE_METHODS.has(request.method) && !fromOurPage(request)',
        'request.method === "x"',
      ),
    ],
    noticed: ['G10'],
  },
  {
    rule: 'H',
    title: 'cookies are readable by scripts',
    edits: [edit('outpost/session/cookies.ts', '; HttpOnly${', '${')],
    noticed: ['H1'],
  },
  {
    rule: 'H',
    title: 'all providers share a key and believe each other',
    edits: [
      edit('outpost/session/sealed.ts', "hkdfSync('sha256', secret, clientId,", "hkdfSync('sha256', 'x', 'y',"),
      edit('outpost/session/sealed.ts', "createHash('sha256').update(secret)", "createHash('sha256').update('x')"),
      edit(
        'outpost/session/session-cookie.ts',
        'return session?.provider === this.#options.provider ? session : undefined;',
        'return session;',
      ),
    ],
    noticed: ['H2'],
  },
  {
    rule: 'H',
    title: 'our cookies reach the application',
    edits: [
      edit(
        'outpost/proxy/request-headers.ts',
        '.filter((pair) => !isOwnCookie',
        '.filter((pair) => pair !== undefined || !isOwnCookie',
      ),
    ],
    noticed: ['H3'],
  },
  {
    rule: 'H',
    title: 'any cookie domain is used',
    edits: [
      edit(
        'rules/cookie-domain.ts',
        "if (domain === '') return { domain: undefined };",
        "return { domain: domain === '' ? undefined : domain };",
      ),
    ],
    noticed: ['H5'],
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
    rule: 'H',
    title: 'domains of everybody are saved',
    edits: [
      edit(
        'server/proxy-provider/cookie-domain.ts',
        '{ allowPrivateDomains: true }) === domain',
        "{ allowPrivateDomains: true }) === ''",
      ),
    ],
    noticed: ['H9'],
  },
  {
    rule: 'H',
    title: 'one login opens every application of the domain',
    edits: [edit('outpost/sites/applications.ts', '!open.includes(slug)', 'slug === open[-1]')],
    noticed: ['H10'],
  },
  {
    rule: 'H',
    title: 'the first host that is named chooses the application',
    edits: [
      edit(
        'outpost/sites/applications.ts',
        "!sameApplications(found, here)) return 'conflict';",
        '!sameApplications(found, here)) break;',
      ),
    ],
    noticed: ['H10'],
  },
  {
    rule: 'H',
    title: 'applications of a domain are found by the path as it stands only',
    edits: [
      edit('contract/domain-applications.ts', 'found = join(found, match(entry, reading, true) ?? this.#none);', ''),
    ],
    noticed: ['H10'],
  },
  {
    rule: 'I',
    title: 'revocations are not looked at',
    edits: [edit('outpost/identify/identify.ts', "if (live.standing === 'ended') return NOBODY['session-ended'];", '')],
    noticed: ['I1', 'I3'],
  },
  {
    rule: 'I',
    title: 'stale claims are good enough',
    edits: [edit('outpost/identify/identify.ts', "if (live.standing === 'stale') return { kind: 'stale', live };", '')],
    noticed: ['I4'],
  },
  {
    rule: 'I',
    title: 'sessions do not expire',
    edits: [
      edit('outpost/identify/identify.ts', "if (live.session.expiresAt <= now) return NOBODY['session-expired'];", ''),
    ],
    noticed: ['I7'],
  },
  {
    rule: 'I',
    title: 'answers under way are left alone',
    edits: [edit('outpost/dialects/proxy-mode.ts', 'services.openAnswers.add(res, live, goesOn)', 'void live')],
    noticed: ['I9'],
  },
  {
    rule: 'I',
    title: 'WebSockets are left alone',
    edits: [edit('outpost/dialects/proxy-mode.ts', 'services.openAnswers.add(connection, live, goesOn)', 'undefined')],
    noticed: ['I20'],
  },
  {
    rule: 'I',
    title: 'what is under way is not decided again',
    edits: [
      edit(
        'outpost/session/open-answers.ts',
        'if (entry.live === live && !entry.mayGoOn(live)) this.#cut(answer);',
        'void [answer, entry];',
      ),
    ],
    noticed: ['I21'],
  },
  {
    rule: 'J',
    title: 'every page may open a WebSocket',
    edits: [
      edit('outpost/dialects/proxy-mode.ts', 'upgrade !== undefined && !originAllowed(', '!originAllowed([] || '),
    ],
    noticed: ['J20'],
  },
  {
    rule: 'J',
    title: 'a protocol of requests is one like others',
    edits: [edit('outpost/listen/upgrade.ts', ' && !CARRIES_REQUESTS.test(name)', '')],
    noticed: ['J21'],
  },
  {
    rule: 'J',
    title: 'every 101 is believed',
    edits: [edit('outpost/proxy/upgrade.ts', 'if (problem !== undefined) {', 'if (problem === null) {')],
    noticed: ['J23'],
  },
  {
    rule: 'A',
    title: 'an upgrade brings its own headers',
    edits: [
      edit(
        'outpost/proxy/upgrade.ts',
        'requestHeaders: requestHeaders(req.rawHeaders, target),',
        "requestHeaders: [...requestHeaders(req.rawHeaders, target), 'X-Copy', String(req.headers['x-authentik-username'])],",
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
    rule: 'J',
    title: 'absolute-form for any host is taken',
    edits: [
      edit(
        'outpost/listen/normalise.ts',
        "|| host === '' || match[1]?.toLowerCase() !== host) return undefined;",
        ') return undefined;',
      ),
    ],
    noticed: ['J4'],
  },
  {
    rule: 'J',
    title: 'framing is read leniently',
    edits: [
      edit(
        'supervise/listener.ts',
        'maxHeaderSize: MAX_HEAD_BYTES,',
        'maxHeaderSize: MAX_HEAD_BYTES,\n    insecureHTTPParser: true,',
      ),
    ],
    noticed: ['J1'],
  },
  {
    rule: 'J',
    title: 'a slow head has all the time in the world',
    edits: [edit('supervise/listener.ts', 'headersTimeout: timeouts.readHeader,', 'headersTimeout: 0,')],
    noticed: ['J8'],
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
    rule: 'J',
    title: 'a second host of an HTTP/2 request is ignored',
    edits: [edit('outpost/listen/http2.ts', '[authority, ...others]', '[authority]')],
    noticed: ['J40'],
  },
  {
    rule: 'J',
    title: 'requests may be taken back without end',
    edits: [
      edit('supervise/tls-listener.ts', 'streamResetBurst: RESET_BURST,', 'streamResetBurst: 1_000_000,'),
      edit('supervise/tls-listener.ts', 'streamResetRate: RESETS_PER_SECOND,', 'streamResetRate: 1_000_000,'),
    ],
    noticed: ['J41'],
  },
  {
    rule: 'K',
    title: 'text is not escaped',
    edits: [
      edit(
        'look/html.ts',
        "if (typeof value === 'string') return escapeHtml(value);",
        "if (typeof value === 'string') return value;",
      ),
    ],
    noticed: ['K3'],
  },
  {
    rule: 'K',
    title: 'names stand in configurations as they are',
    edits: [edit('commands/config/values.ts', ".replace(/[^\\p{L}\\p{N} ._-]/gu, '?')", '')],
    noticed: ['K7'],
  },
  {
    rule: 'K',
    title: 'a host in a configuration may be anything a URL may hold',
    edits: [edit('commands/config/values.ts', 'if (!bare || !isHost(url.hostname))', 'if (!bare)')],
    noticed: ['K7'],
  },
  {
    rule: 'L',
    title: 'an unknown name costs no password hash',
    edits: [
      edit(
        'server/directory/passwords.ts',
        'const typed = plain.slice(0, MAX_LENGTH);',
        'if (stored === undefined) return undefined;\n  const typed = plain.slice(0, MAX_LENGTH);',
      ),
    ],
    noticed: ['L2'],
  },
  {
    rule: 'L',
    title: 'the limiter counts spellings',
    edits: [
      edit(
        'server/flows/credentials.ts',
        'this.#limiter.take(account, address)',
        'this.#limiter.take(typed + password, address)',
      ),
    ],
    noticed: ['L3'],
  },
  {
    rule: 'L',
    title: 'the set-up link stays open',
    edits: [
      edit('server/bootstrap/setup-token.ts', ' && !(await adminHasPassword(db))', ''),
      edit(
        'server/directory/users.ts',
        "if (await isSuperuser(tx.db, id)) await deleteFact(tx.db, 'setup_token_hash');",
        '',
      ),
    ],
    noticed: ['L6'],
  },
  {
    rule: 'M',
    title: 'an Authorization header counts as signed in',
    edits: [
      edit(
        'outpost/dialects/nginx.ts',
        "if (address?.kind === 'invalid')",
        "if (/^(basic|bearer) /i.test(request.headers.authorization ?? '')) return { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: [] };\n  if (address?.kind === 'invalid')",
      ),
    ],
    noticed: ['M1'],
  },
  {
    rule: 'M',
    title: 'the log holds the query as it came',
    edits: [
      edit(
        'outpost/access-log.ts',
        'if (SECRET_PARAMETERS.has(decoded(name).toLowerCase()))',
        'if (SECRET_PARAMETERS.has(""))',
      ),
    ],
    noticed: ['M3'],
  },
  {
    rule: 'M',
    title: 'the log copies every header that is named',
    edits: [edit('outpost/access-log.ts', '.filter((name) => !SECRET_HEADERS.has(name))', '')],
    noticed: ['M3'],
  },
  {
    rule: 'M',
    title: 'addresses in logged headers stay as they came',
    edits: [
      edit('outpost/access-log.ts', 'ADDRESS_FIELDS.has(field) ? redactTarget(value) : clip(value)', 'clip(value)'),
    ],
    noticed: ['M3'],
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
