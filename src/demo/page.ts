/** The page of the sample application. */
import type { Visitor } from './application.ts';

const escape = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const STYLE = `
:root{color-scheme:light dark;--ground:#f6f5f2;--card:#fff;--ink:#23211d;--soft:#6b665c;--line:#e3dfd6;--accent:#0b5f55}
@media (prefers-color-scheme:dark){:root{--ground:#191816;--card:#23211e;--ink:#eeebe4;--soft:#a8a194;--line:#3a3732;--accent:#5cc4b4}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:16px;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:36rem;padding:32px;background:var(--card);border:1px solid var(--line);border-radius:12px}
h1{margin:0 0 4px;font-size:1.5rem;font-weight:600;overflow-wrap:anywhere}
p{margin:0 0 16px;color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:8px 24px;margin:24px 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code{font:0.875em ui-monospace,monospace}
nav{display:flex;flex-wrap:wrap;gap:8px 24px}
a{color:var(--accent)}
@media (max-width:28rem){main{padding:20px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:12px}}
`;

/**
 * @param target path and query of the request, shown to prove that it arrived as asked for
 * @param visitor what the identity headers say
 * @returns a whole HTML document
 */
export function applicationPage(target: string, visitor: Visitor): string {
  const rows: [string, string][] = [
    ['User name', visitor.username],
    ['E-mail', visitor.email],
    ['Groups', visitor.groups.join(', ') || 'none'],
    ['Identifier', visitor.uid],
    ['Application', visitor.application],
    ['Page asked for', target],
  ];
  const known = visitor.username !== '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(known ? visitor.application : 'Sample application')}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${known ? `Hello, ${escape(visitor.name || visitor.username)}` : 'Nobody is signed in'}</h1>
<p>${
    known
      ? 'This application has no login of its own. Gatehouse told it who you are, in request headers.'
      : 'This request came past Gatehouse, without identity headers.'
  }</p>
<dl>${rows.map(([term, value]) => `<dt>${term}</dt><dd><code>${escape(value)}</code></dd>`).join('')}</dl>
<nav><a href="/echo">All request headers</a><a href="/outpost.goauthentik.io/sign_out">Sign out</a></nav>
</main>
</body>
</html>
`;
}
