/** Protections of the rules from F on: tokens, sessions, protocols, configuration, logins. */
import { edit } from './support/switch.ts';
import type { Switch } from './support/switch.ts';

export const sessionSwitches: readonly Switch[] = [
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
      edit(
        'server/oidc/accepted.ts',
        'live === undefined || !(await trusts(ctx.db, client.provider.id, live.client.provider.id))',
        'live === undefined',
      ),
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
        'if (artefact === undefined) return undefined;\n  if',
        'if (artefact === undefined) return { client: owner, claims, scopes: String(claims.scope ?? "").split(" "), uid, attributes: "none" };\n  if',
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
        'const state = await this.#sealState({ id, target, round, created: now, purpose });',
        'const state = await this.#sealState({ ...secrets, target, round, created: now, purpose });',
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
      edit('outpost/dialects/nginx.ts', 'wholeDomain && namesTwoHosts(', '!wholeDomain && namesTwoHosts('),
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
    title: 'a question may name two hosts of a domain, and rules for a host believe the address',
    edits: [
      edit('outpost/dialects/nginx.ts', 'wholeDomain && namesTwoHosts(', '!wholeDomain && namesTwoHosts('),
      edit(
        'outpost/dialects/original-address.ts',
        '!isBelow(name, domain) || contradicts(request.hostHeader) || contradicts(request.host)',
        "asked === ''",
      ),
    ],
    noticed: ['H11'],
  },
  {
    rule: 'H',
    title: 'rules for a host believe whatever host the address names',
    edits: [
      edit(
        'outpost/dialects/original-address.ts',
        '!isBelow(name, domain) || contradicts(request.hostHeader) || contradicts(request.host)',
        "asked === ''",
      ),
    ],
    noticed: ['H11'],
  },
  {
    rule: 'F',
    title: 'outposts that know no applications of a domain get tokens like those that do',
    edits: [edit('server/oidc/token.ts', 'const access = extension\n', 'const access = extension || user\n')],
    noticed: ['F13'],
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
    edits: [
      edit('outpost/identify/identify.ts', "live.standing === 'stale' || lacksApplications", 'lacksApplications'),
    ],
    noticed: ['I4'],
  },
  {
    rule: 'I',
    title: 'sessions do not expire',
    edits: [
      edit('outpost/identify/identify.ts', "if (live.session.expiresAt <= now) return NOBODY['session-expired'];", ''),
      // what is under way at such a moment is looked at as well
      edit('outpost/session/open-answers.ts', 'if (expiresAt <= now) this.#cut(entry);\n      else if', 'if'),
    ],
    noticed: ['I7'],
  },
  {
    rule: 'I',
    title: 'answers under way are left alone',
    edits: [edit('outpost/dialects/proxy-mode.ts', 'entry = remember(carrier);', '')],
    noticed: ['I9'],
  },
  {
    rule: 'I',
    title: 'WebSockets are left alone',
    edits: [
      edit(
        'outpost/dialects/proxy-mode.ts',
        'const switched = remember(connection);',
        'const switched = connection && entry;',
      ),
    ],
    noticed: ['I20'],
  },
  {
    rule: 'I',
    title: 'what is under way is not decided again',
    edits: [
      edit(
        'outpost/session/open-answers.ts',
        'if (entry.live === live && !entry.mayGoOn(live)) this.#cut(entry);',
        'void entry;',
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
    title: 'pages of other origins open WebSockets behind reverse proxies that ask',
    edits: [
      edit(
        'outpost/dialects/websocket-page.ts',
        'if (origin === undefined) return false;',
        'if (origin !== "") return false;',
      ),
    ],
    noticed: ['J24'],
  },
  {
    rule: 'J',
    title: 'behind reverse proxies that ask a WebSocket is what names Upgrade',
    edits: [edit('outpost/dialects/websocket-page.ts', 'webSocketVersion !== undefined || ', '')],
    noticed: ['J24'],
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
        'const attempt = { account, ',
        'const attempt = { account: typed + password, ',
      ),
    ],
    noticed: ['L3'],
  },
  {
    rule: 'L',
    title: 'a browser known to one account is known to all',
    edits: [
      edit(
        'server/flows/known-browser.ts',
        'one.account === user.uuid && one.password === password',
        'one.account !== password',
      ),
    ],
    noticed: ['L8'],
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
    rule: 'F',
    title: 'machines sign in whatever the rules of the application say',
    edits: [edit('server/oidc/machine-token.ts', 'if (!access.passing) {', 'if (access === undefined) {')],
    noticed: ['F20'],
  },
];
