/**
 * Loaded into a process before everything else (`--import`): refuses whatever an outpost on its own does not have, the
 * server's code and its packages.
 */
import { registerHooks } from 'node:module';

/** What docs/guides/standalone-outposts.md names; with each comes what it depends on itself. */
const PACKAGES = [
  '@prometheus-io/client',
  'ipaddr.js',
  'jose',
  'lru-cache',
  'oauth4webapi',
  'pino',
  're2js',
  'undici',
  'ws',
  // for the self-signed certificate, at the first start
  '@peculiar/x509',
  'reflect-metadata',
];

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    const { url } = resolved;
    if (/\/src\/(server|demo)\//.test(url)) throw new Error(`an outpost has no ${url}`);
    const [, name] = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
    const ours = context.parentURL === undefined || !context.parentURL.includes('/node_modules/');
    if (ours && name !== undefined && !PACKAGES.includes(name)) throw new Error(`an outpost has no package ${name}`);
    return resolved;
  },
});
