/** 103 Early Hints of an application (RFC 8297), passed on as far as Node writes them. */
import type { ServerResponse } from 'node:http';

/**
 * Sends hints to the client. A hint is a courtesy: whatever cannot be sent is left out, and never fails the request.
 * @param fields values of the Link headers; each may list several links
 */
export function sendEarlyHints(res: ServerResponse, fields: readonly string[]): void {
  const links = fields.flatMap(splitLinks);
  if (links.length > 0) send(res, links);
}

/** Node checks all links before it writes any, and refuses them together; those it takes then go one by one. */
function send(res: ServerResponse, links: string[]): void {
  try {
    res.writeEarlyHints({ link: links });
  } catch {
    if (links.length > 1) for (const link of links) send(res, [link]);
  }
}

/** The links of one Link header (RFC 8288 3): commas part them, but not within `<…>` and quotes. */
function splitLinks(field: string): string[] {
  const links: string[] = [];
  let start = 0;
  let until = '';
  for (let i = 0; i < field.length; i++) {
    const char = field[i]!;
    if (until === '"' && char === '\\') i++;
    else if (until !== '') until = char === until ? '' : until;
    else if (char === '<') until = '>';
    else if (char === '"') until = '"';
    else if (char === ',') {
      links.push(field.slice(start, i));
      start = i + 1;
    }
  }
  links.push(field.slice(start));
  return links.map((link) => link.trim()).filter((link) => link !== '');
}
