/** Addresses of our pages, below the web path. The flow slugs are the published ones (spec/server.md 11.1). */
import type { Settings } from '../../settings/settings.ts';

export const LOGIN = 'if/flow/default-authentication-flow/';
export const LOGOUT = 'if/flow/default-invalidation-flow/';
export const SETUP = 'if/flow/initial-setup/';
export const PORTAL = 'if/user/';

type WithWebPath = Pick<Settings, 'webPath'>;

export interface LoginParameters {
  next?: string | undefined;
  /** the person must prove who they are again, although signed in */
  again?: boolean;
}

/** @returns path of the login page that continues to `next` */
export function loginPath(settings: WithWebPath, { next, again = false }: LoginParameters = {}): string {
  const query = new URLSearchParams();
  if (next !== undefined) query.set('next', next);
  if (again) query.set('again', '1');
  const text = query.toString();
  return settings.webPath + LOGIN + (text === '' ? '' : `?${text}`);
}
