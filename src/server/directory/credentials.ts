/** What tokens are made from when nobody logs in: app passwords, and other access tokens. */
import type { Change } from '../context.ts';

/** From here on one event for everybody is cheaper than one for each. */
const MANY = 500;

/**
 * A credential is worth nothing any more: tokens made from it die with it, and so do the sessions outposts made. Used
 * codes stay, as the memory of their use.
 * @param handle the uuid of an app password, the uid of an access token, the id of a grant
 */
export async function endCredential(tx: Change, handle: string): Promise<void> {
  await deleteTokensOf(tx, handle);
  await tx.identity({ kind: 'credential-ended', credential: handle });
}

/**
 * Ends what a client was given, in one session or in all, and what was made from it at clients that accept its tokens.
 * Its own outposts are told by the caller.
 * @param sid absent: of all sessions, and of none
 */
export async function endTokensOf(tx: Change, clientId: string, sid?: string): Promise<void> {
  const given = tx.db
    .selectFrom('oidc_artefact')
    .where('client_id', '=', clientId)
    .$if(sid !== undefined, (rows) => rows.where('session_sid', '=', sid ?? ''));
  const used = await tx.db
    .selectFrom('oidc_artefact_origin')
    .select('handle')
    .distinct()
    .where((e) => e.or([e('handle', 'in', given.select('handle')), e('handle', 'in', given.select('grant_id'))]))
    .execute();
  await tx.db
    .deleteFrom('oidc_artefact')
    .where('client_id', '=', clientId)
    .$if(sid !== undefined, (rows) => rows.where('session_sid', '=', sid ?? ''))
    .execute();
  for (const { handle } of used) {
    if (used.length > MANY) await deleteTokensOf(tx, handle);
    else await endCredential(tx, handle);
  }
  if (used.length > MANY) await tx.identity({ kind: 'everybody', effect: 'refresh' });
}

/** One statement for each way a row hangs on it: together, none of their indices would be used. */
async function deleteTokensOf(tx: Change, handle: string): Promise<void> {
  const rows = () => tx.db.deleteFrom('oidc_artefact');
  await rows().where('handle', '=', handle).execute();
  await rows()
    .where('grant_id', '=', handle)
    .where((e) => e.or([e('model', '!=', 'AuthorizationCode'), e('consumed', 'is', null)]))
    .execute();
  await rows()
    .where((e) =>
      e(
        e.refTuple('model', 'id'),
        'in',
        e
          .selectFrom('oidc_artefact_origin')
          .select(['oidc_artefact_origin.model', 'artefact_id'])
          .where('oidc_artefact_origin.handle', '=', handle)
          .$asTuple('model', 'artefact_id'),
      ),
    )
    .execute();
}
