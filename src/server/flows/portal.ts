/** The portal: who you are, the applications you may open, sign out. */
import type { FastifyInstance } from 'fastify';
import { html } from '../../look/html.ts';
import { applicationIcon, page } from '../../look/page.ts';
import { safeHref } from '../../look/html.ts';
import { texts } from '../../look/texts.ts';
import { launchUrl } from '../access/applications.ts';
import { addressesOf } from '../access/domain-applications.ts';
import { checkAccessToAll } from '../access/check-access.ts';
import type { ServerContext } from '../context.ts';
import type { ApplicationRow, UserRow } from '../storage/rows.ts';
import { redirect, sendPage, surroundings } from './answers.ts';
import { signOutForm } from './logout.ts';
import { loginPath, PORTAL } from './paths.ts';
import { currentSession, displayName } from './session.ts';

export function portalRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  const home = ctx.settings.webPath + PORTAL;

  scope.get('/', async (_request, reply) => redirect(reply, home));

  scope.get(`/${PORTAL}`, async (request, reply) => {
    const live = await currentSession(ctx, request);
    if (live === undefined) return redirect(reply, loginPath(ctx.settings, { next: home }));
    const applications = await openable(ctx, live.user);
    const icons = applications.map(({ row }) => applicationIcon(row.name, row.meta_icon));
    const body = html`<h1>${texts.portal.title}</h1>
      ${
        applications.length === 0
          ? html`<div class="card empty">
              <h2>${texts.portal.empty}</h2>
              <p class="quiet">${texts.portal.emptyHint}</p>
            </div>`
          : html`<ul class="apps">
              ${applications.map(({ row, href }, i) => {
                const target = row.open_in_new_tab === 1 && html` target="_blank" rel="noopener"`;
                return html`<li>
                  <a class="card" href="${href}" ${target}
                    >${icons[i]?.element}<span
                      ><span class="name">${row.name}</span>
                      ${row.meta_description !== '' && html`<span class="about">${row.meta_description}</span>`}
                      ${row.open_in_new_tab === 1 && html`<span class="about">${texts.portal.newWindow}</span>`}</span
                    ></a
                  >
                </li>`;
              })}
            </ul>`
      }`;
    const rendered = page({
      ...surroundings(ctx, request),
      title: texts.portal.title,
      wide: true,
      head: html`<span>${texts.portal.signedInAs(displayName(live.user))}</span>
        ${signOutForm(ctx, request, reply, { label: texts.portal.signOut, look: 'plain' })}`,
      body,
      imageSources: [...new Set(icons.flatMap(({ source }) => source ?? []))],
    });
    return sendPage(reply, rendered);
  });
}

/** Applications with an address that this person may open, by name. */
async function openable(ctx: ServerContext, user: UserRow): Promise<{ row: ApplicationRow; href: string }[]> {
  const rows = await ctx.db.selectFrom('application').selectAll().orderBy('name').execute();
  const addresses = await addressesOf(ctx.db, rows);
  const access = await checkAccessToAll(ctx.db, user, rows);
  return rows.flatMap((row, i) => {
    const href = safeHref(launchUrl(row, addresses.get(row.uuid), user));
    return href !== undefined && access[i]?.passing === true ? [{ row, href }] : [];
  });
}
