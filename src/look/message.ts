/** Pages that say one thing: errors, denials, confirmations. Used by server and outposts alike. */
import { html, safeHref } from './html.ts';
import type { Html, HtmlValue } from './html.ts';
import { page } from './page.ts';
import type { PageOptions, RenderedPage } from './page.ts';
import { texts } from './texts.ts';

/** What every page gets from its surroundings. */
export type PageSurroundings = Pick<
  PageOptions,
  'lang' | 'requestId' | 'serverLabel' | 'stylesheet' | 'script' | 'head'
>;

export interface ErrorPageOptions extends PageSurroundings {
  /** stable code, searchable in the help */
  code: string;
  title: string;
  /** a sentence: what happened */
  what: string;
  /** a sentence: what to do */
  todo: string;
  /** what was found out about the cause, in place of `todo` */
  findings?: readonly { what: string; todo: string }[];
  /** facts that help to find the cause, shown as label and value; no secrets */
  facts?: readonly (readonly [label: string, value: string])[];
  /** links or forms of the caller */
  actions?: readonly HtmlValue[];
}

/** An error a person can meet: code, what happened, what to do, request id. */
export function errorPage(options: ErrorPageOptions): RenderedPage {
  const { code, title, what, todo, findings = [], facts = [], actions = [] } = options;
  return page({
    ...surroundings(options),
    title,
    body: html`<div class="card">
      <h1>${title}</h1>
      <div class="note bad"><p>${what}</p></div>
      ${findings.length === 0 && html`<p>${todo}</p>`}
      ${findings.map(
        (found) =>
          html`<div class="note look">
            <p>${found.what}</p>
            <p>${found.todo}</p>
          </div>`,
      )}
      ${factList([...facts, [texts.errorCode, code]])} ${actionRow(actions)}
    </div>`,
  });
}

export interface DenialPageOptions extends PageSurroundings {
  /** name of the application */
  application: string;
  person: { name: string; username: string };
  /** the address asked for, as the person would recognise it */
  asked: string;
  /** the kind of rule that refused, one sentence each */
  reasons: readonly string[];
  /** form or link that signs out and starts again with another account */
  switchAccount: Html;
  /** where "back" leads; absent = no such link */
  back?: string | undefined;
}

/** Signed in, but may not: who you are, what was asked for, why, and what can be done. */
export function denialPage(options: DenialPageOptions): RenderedPage {
  const { person, application, asked, reasons } = options;
  const who =
    person.name === '' || person.name === person.username ? person.username : `${person.name} (${person.username})`;
  return page({
    ...surroundings(options),
    title: texts.denied.title,
    body: html`<div class="card">
      <h1>${texts.denied.heading(application)}</h1>
      ${reasons.map((reason) => html`<div class="note bad"><p>${reason}</p></div>`)}
      ${factList([
        [texts.denied.you, who],
        [texts.denied.asked, asked],
      ])}
      <p class="small quiet">${texts.denied.ask}</p>
      ${actionRow([options.switchAccount, options.back !== undefined && secondLink(options.back, texts.back)])}
    </div>`,
  });
}

/** One sentence of good news with what can be done next. */
export function donePage(
  options: PageSurroundings & { title: string; what: string; more?: string; actions?: readonly HtmlValue[] },
): RenderedPage {
  return page({
    ...surroundings(options),
    title: options.title,
    body: html`<div class="card">
      <h1>${options.title}</h1>
      <p>${options.what}</p>
      ${options.more !== undefined && html`<p>${options.more}</p>`} ${actionRow(options.actions ?? [])}
    </div>`,
  });
}

/** A link that looks like the main button; nothing when the address is not http, https or a path of this site. */
export function mainLink(address: string, label: string): Html | undefined {
  return link(address, label, 'button');
}

/** A link that looks like a secondary button. */
export function secondLink(address: string, label: string): Html | undefined {
  return link(address, label, 'button second');
}

function link(address: string, label: string, classes: string): Html | undefined {
  const href = safeHref(address);
  return href === undefined ? undefined : html`<a class="${classes}" href="${href}">${label}</a>`;
}

function actionRow(actions: readonly HtmlValue[]): Html | undefined {
  const present = actions.filter((a) => a !== undefined && a !== null && a !== false);
  return present.length === 0 ? undefined : html`<div class="actions">${present}</div>`;
}

function factList(facts: readonly (readonly [string, string])[]): Html {
  return html`<dl>
    ${facts.map(
      ([label, value]) =>
        html`<div>
          <dt>${label}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

/** Only what is given: with exactOptionalPropertyTypes a copied `undefined` would count as a value. */
function surroundings(options: PageSurroundings): PageSurroundings {
  const { lang, requestId, serverLabel, stylesheet, script, head } = options;
  return { ...(lang === undefined ? {} : { lang }), requestId, serverLabel, stylesheet, script, head };
}
