/** What is answered for a host that belongs to no application. */
import { diagnosisTexts } from '../look/texts-diagnosis.ts';
import { outpostTexts } from '../look/texts-outpost.ts';
import { NO_STORE, sendBody, sendText } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { wantsPage } from './navigation.ts';
import { sendProblem } from './pages.ts';
import type { Site } from './sites/site.ts';
import { explainUnknownHost } from './sites/unknown-host.ts';

/**
 * No application for this host: the published JSON for programs, with what else helps behind it (spec/outpost.md 3.2), a
 * page for people, a sentence for nginx, which shows nobody more than a status.
 */
export function sendUnknownHost(exchange: Exchange, sites: Iterable<Site>, forNginx: boolean): void {
  const { res, request } = exchange;
  const { host, peer, trusted } = request;
  const { findings, near } = explainUnknownHost(request, sites);
  const sentence = diagnosisTexts.unknownHost.sentence(host);
  if (forNginx) {
    sendText(res, 403, [sentence, ...findings.flatMap((found) => [found.what, found.todo])].join(' '));
    return;
  }
  if (wantsPage(request)) {
    const { unknownHost } = diagnosisTexts;
    const by = `${peer}, ${trusted ? unknownHost.trusted : unknownHost.untrusted}`;
    const facts = [[outpostTexts.host, host], [unknownHost.peer, by]] as const; // prettier-ignore
    sendProblem(exchange, 'unknown-host', { site: near, facts, ...(findings.length > 0 ? { findings } : {}) });
    return;
  }
  const body = {
    Message: 'no app for hostname',
    Host: host,
    Detail: `Check the outpost settings and make sure '${host}' is included.`,
    error: [sentence, ...findings.flatMap((found) => [found.what, found.todo])].join(' '),
    code: 'unknown-host',
    request_id: request.requestId,
    peer,
    trusted,
    ...(near === undefined ? {} : { nearest: near.external.origin }),
  };
  sendBody(res, 400, ['Content-Type', 'application/json', ...NO_STORE], `${JSON.stringify(body, undefined, '\t')}\n`);
}
