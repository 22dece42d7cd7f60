/**
 * Files that browsers, phones and crawlers fetch without cookies, and that say nothing about anybody: web app
 * manifests, icons, `robots.txt`. Whether they are public is a setting of the provider (`public_assets`).
 *
 * By name and place only: whole names directly below the root of the application, no endings and no folders, since
 * many frameworks answer `/users/7.webmanifest` or `/report/favicon.ico` with what lies at the path before. Never by
 * `Sec-Fetch-Dest`: every client can send it.
 */
import type { PathReading } from './canonical-path.ts';

const SIZE = '(?:-\\d{1,4}x\\d{1,4})?';
const NAMES = [
  'manifest\\.json',
  '(?:manifest|site|app)\\.webmanifest',
  'browserconfig\\.xml',
  'robots\\.txt',
  `favicon${SIZE}\\.(?:ico|png|svg)`,
  `apple-touch-icon${SIZE}(?:-precomposed)?\\.png`,
  `(?:android-chrome|mstile)${SIZE}\\.png`,
  'safari-pinned-tab\\.svg',
  '(?:\\.well-known/)?apple-app-site-association',
  '\\.well-known/(?:assetlinks\\.json|security\\.txt)',
];
const ASSET = new RegExp(`^/(?:${NAMES.join('|')})$`);

/**
 * Whether every reading of a path names such a file.
 * @param path undefined = not known
 * @param basePath path below which the application lives, without trailing slash
 */
export function isAssetPath(path: PathReading | undefined, basePath: string): boolean {
  if (path?.kind !== 'plain') return false;
  return path.readings.every((reading) => isAsset(reading, basePath));
}

/** @param reading one reading of a path */
export function isAsset(reading: string, basePath: string): boolean {
  return ASSET.test(reading.startsWith(`${basePath}/`) ? reading.slice(basePath.length) : reading);
}

/** @param method what the application would be asked with; undefined = not known */
export function mayFetchAsset(method: string | undefined): boolean {
  return method === undefined || method === 'GET' || method === 'HEAD';
}
