/** Runs a scope mapping as somebody, for whoever writes it: nothing is issued, kept or told. */
import { applicationOfProvider } from '../access/applications.ts';
import { InvalidInput } from '../../contract/errors.ts';
import type { ServerContext } from '../context.ts';
import { userById } from '../directory/users.ts';
import type { Json, LogLine } from '../expressions/types.ts';
import { notFound } from '../not-found.ts';
import { mappingByUuid } from './custom-mappings.ts';
import { contextOf } from './expression-facts.ts';
import type { Asker } from './expression-facts.ts';
import { providerById } from './providers.ts';
import { evaluate } from './run-mappings.ts';
import { scopeNames } from './scope-mappings.ts';

export interface Trial {
  /** id of the person it runs as */
  user: number;
  /** further variables */
  context: Readonly<Record<string, unknown>>;
  /** id; absent = without provider, application and scopes */
  provider: number | undefined;
  /** who tries it: the request an expression sees is theirs */
  asker: Asker;
  /** write the result over several lines */
  indent: boolean;
}

export interface TrialResult {
  /** JSON, or the sentence that says what went wrong */
  result: string;
  successful: boolean;
  line: number | null;
  milliseconds: number;
  log: LogLine[];
  messages: string[];
}

/** @throws InvalidInput by field for people and providers that are not there; CodedError 404 */
export async function tryMapping(ctx: ServerContext, uuid: string, trial: Trial): Promise<TrialResult> {
  const mapping = await mappingByUuid(ctx.db, uuid);
  if (mapping === undefined) throw notFound('scope mapping');
  const user = await userById(ctx.db, trial.user);
  if (user === undefined) throw new InvalidInput({ user: ['There is no such user.'] });
  const provider = trial.provider === undefined ? undefined : await providerById(ctx.db, trial.provider);
  if (provider === undefined && trial.provider !== undefined) {
    throw new InvalidInput({ provider: ['There is no such provider.'] });
  }
  const facts = await contextOf(ctx.db, {
    user,
    asker: trial.asker,
    provider,
    application: provider && (await applicationOfProvider(ctx.db, provider.id)),
    scopes: provider === undefined ? [mapping.scope_name] : await scopeNames(ctx.db, provider.id),
  });
  const context = { ...facts, context: trial.context as Record<string, Json> };
  const ran = await evaluate(ctx, context, mapping);
  const { milliseconds, log, messages } = ran;
  return {
    result: ran.ok ? JSON.stringify(ran.value, null, trial.indent ? 4 : undefined) : ran.error.message,
    successful: ran.ok,
    line: ran.ok ? null : (ran.error.line ?? null),
    milliseconds,
    log: [...log],
    messages: [...messages],
  };
}
