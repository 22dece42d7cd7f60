/** OAuth clients: a provider and the application it belongs to (spec/server.md 3.3, 5.1). */
import { applicationBySlug, applicationOfProvider } from '../access/applications.ts';
import type { ServerContext } from '../context.ts';
import { sameSecret } from '../link.ts';
import { providerByClientId, providerById, providerSecrets } from '../proxy-provider/providers.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, ProviderRow } from '../storage/rows.ts';

export interface Client {
  provider: ProviderRow;
  application: ApplicationRow;
}

/** A provider without an application is no client yet: it has no slug and no access rules. */
export async function clientById(db: Db, clientId: string): Promise<Client | undefined> {
  const provider = clientId === '' ? undefined : await providerByClientId(db, clientId);
  const application = provider && (await applicationOfProvider(db, provider.id));
  return provider !== undefined && application !== undefined ? { provider, application } : undefined;
}

export async function clientBySlug(db: Db, slug: string): Promise<Client | undefined> {
  const application = await applicationBySlug(db, slug);
  if (application === undefined || application.provider_id === null) return undefined;
  const provider = await providerById(db, application.provider_id);
  return provider === undefined ? undefined : { provider, application };
}

export interface PresentedCredentials {
  clientId: string;
  secret: string;
}

/**
 * Client credentials of a request: HTTP Basic, or `client_id` and `client_secret` of the form (RFC 6749 2.3.1).
 * @returns empty strings for what is missing; `undefined` when the header cannot be read or both ways are mixed
 */
export function presentedCredentials(
  authorization: string | undefined,
  form: { text(name: string): string },
): PresentedCredentials | undefined {
  if (authorization === undefined) return { clientId: form.text('client_id'), secret: form.text('client_secret') };
  const [scheme = '', encoded = '', ...rest] = authorization.split(' ');
  if (scheme.toLowerCase() !== 'basic' || rest.length > 0 || form.text('client_secret') !== '') return undefined;
  const decoded = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 0) return undefined;
  try {
    const part = (text: string) => decodeURIComponent(text.replaceAll('+', '%20'));
    return { clientId: part(decoded.slice(0, colon)), secret: part(decoded.slice(colon + 1)) };
  } catch {
    return undefined;
  }
}

/** @returns the client when its secret was presented */
export async function authenticatedClient(
  ctx: ServerContext,
  presented: PresentedCredentials | undefined,
): Promise<Client | undefined> {
  if (presented === undefined || presented.secret === '') return undefined;
  const client = await clientById(ctx.db, presented.clientId);
  if (client === undefined) return undefined;
  const { client_secret } = providerSecrets(ctx.keyring, client.provider);
  return sameSecret(presented.secret, client_secret) ? client : undefined;
}
