/** Signed in, but not allowed: the page that says so (design/look.md). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { denialPage } from '../../look/message.ts';
import { texts } from '../../look/texts.ts';
import type { ServerContext } from '../context.ts';
import type { LiveSession } from '../directory/sessions.ts';
import type { ApplicationRow, ProviderRow } from '../storage/rows.ts';
import { sendPage, surroundings } from './answers.ts';
import { signOutForm } from './logout.ts';
import { PORTAL } from './paths.ts';

export interface Denial {
  application: ApplicationRow;
  provider: ProviderRow;
  live: LiveSession;
  /** path of this server that was asked for: where to go on as somebody else */
  next: string;
  /** reason words of checkAccess() */
  reasons: readonly string[];
  /** sentences rules gave */
  messages: readonly string[];
}

/** Sends the denial page for a request that would go on if another person were signed in. */
export function sendDenied(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  denial: Denial,
): FastifyReply {
  const { application, provider, live } = denial;
  const rendered = denialPage({
    ...surroundings(ctx, request),
    application: application.name,
    person: { name: live.user.name, username: live.user.username },
    asked: provider.external_host,
    reasons: [...new Set([...denial.reasons.map(sentence), ...denial.messages])],
    switchAccount: signOutForm(ctx, request, reply, { label: texts.denied.switch, next: denial.next }),
    back: ctx.settings.webPath + PORTAL,
  });
  return sendPage(reply, rendered, 403);
}

function sentence(reason: string): string {
  const known: Readonly<Record<string, string>> = texts.denied.reasons;
  return known[reason] ?? texts.denied.reasons.other;
}
