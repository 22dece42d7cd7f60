/** The hook through which the OpenID Provider makes tokens for the rest of the server (`ctx.tokens.issue`). */
import type { ApplicationRow, ProviderRow, UserRow } from '../storage/rows.ts';
import type { EvaluatedScopes } from './evaluate-scopes.ts';
import type { Purpose } from './run-mappings.ts';

export interface IssueRequest {
  provider: ProviderRow;
  application: ApplicationRow;
  /** from issuerOf(): the server as whoever gets the token knows it */
  issuer: string;
  user: UserRow;
  /** the `sid` claim; empty for a token without a session */
  sid: string;
  /** when the person proved who they are, epoch ms, and how */
  authTime: number;
  amr: readonly string[];
  scopes: readonly string[];
  /** for one of our own outposts: no user attributes inside (docs/architecture.md, decision 9) */
  extension: boolean;
  /** authorization the token comes from; revoking it revokes the token */
  grantId?: string | undefined;
  /** handles of what it is made from when that is no login: it ends with each (directory/credentials.ts) */
  origins?: readonly string[] | undefined;
  /** uid of the token whose place it takes, with other claims and at most its life: they are one, and end as one */
  renews?: string | undefined;
  /** epoch ms: it ends then, if not sooner by itself */
  notAfter?: number | undefined;
  /** of the machine that showed credentials; a browser's is known from its session */
  clientIp?: string | undefined;
  /** claims that were evaluated already, for the same person, provider and scopes */
  evaluated?: EvaluatedScopes | undefined;
  /** of the claims, when they are not given */
  purpose?: Purpose | undefined;
}

/** @returns the signed access token and its life in seconds */
export type IssueAccessToken = (request: IssueRequest) => Promise<{ token: string; expiresIn: number }>;
