/** Who may import whom: docs/architecture.md. `npm run check` runs this. */
const OUTPOST_PACKAGES = 'undici|ws|jose|oauth4webapi|re2js|ipaddr\\.js|lru-cache|pino|@prometheus-io/client';

/** A part may import itself and these other places of src/. */
const only = (name, from, allowed) => ({
  name,
  severity: 'error',
  from: { path: `^src/${from}/` },
  to: { path: '^src/', pathNot: [`^src/${from}/`, ...allowed] },
});

module.exports = {
  forbidden: [
    only('contract-imports-nothing', 'contract', []),
    only('look-imports-contract', 'look', ['^src/contract/']),
    only('settings-imports-contract', 'settings', ['^src/contract/']),
    only('demo-imports-contract', 'demo', ['^src/contract/']),
    only('commands-ask-over-rest', 'commands', ['^src/contract/', '^src/rules/', '^src/look/', '^src/settings/']),
    only('rules-import-contract', 'rules', ['^src/contract/']),
    only('outpost-never-server', 'outpost', ['^src/contract/', '^src/rules/', '^src/look/', '^src/settings/']),
    only('server-never-outpost', 'server', [
      '^src/contract/',
      '^src/rules/',
      '^src/look/',
      '^src/settings/',
      '^src/certificates/',
    ]),
    only('certificates-import-nothing', 'certificates', []),
    only('supervise-composes', 'supervise', ['^src/contract/', '^src/outpost/', '^src/settings/']),
    {
      name: 'settings-as-types-only',
      severity: 'error',
      from: { path: '^src/(outpost|server)/' },
      to: { path: '^src/settings/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'outpost-packages',
      comment: 'what an outpost installs stays small: libraries named in docs/architecture.md only',
      severity: 'error',
      from: { path: '^src/(outpost|supervise)/' },
      to: { path: 'node_modules/', pathNot: `node_modules/(${OUTPOST_PACKAGES}|@types/[^/]+)/` },
    },
    {
      name: 'rules-packages',
      comment: 'rules decide the same everywhere: nothing but patterns is taken from elsewhere',
      severity: 'error',
      from: { path: '^src/rules/' },
      to: { path: 'node_modules/', pathNot: 'node_modules/re2js/' },
    },
    {
      name: 'no-development-packages',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'nothing-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    parser: 'swc',
    // Tests may import what they like, and use syntax the parser does not know yet (`using`).
    exclude: { path: '\\.test(-helper)?\\.ts$' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
};
