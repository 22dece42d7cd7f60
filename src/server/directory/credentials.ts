/** What tokens are made from when nobody logs in: app passwords, and other access tokens. */
import type { Change } from '../context.ts';

/**
 * A credential is worth nothing any more: tokens made from it die with it, and so do the sessions outposts made.
 * @param credential handle: the uuid of an app password, the uid of an access token
 */
export async function endCredential(tx: Change, credential: string): Promise<void> {
  await tx.db
    .deleteFrom('oidc_artefact')
    .where((e) => e.or([e('credential', '=', credential), e('grant_id', '=', credential)]))
    .execute();
  await tx.identity({ kind: 'credential-ended', credential });
}
