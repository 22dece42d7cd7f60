/**
 * The one style sheet: tokens first, then the few shapes our pages are made of. Server pages link it under a name
 * that holds its hash; outpost pages carry it inside, because behind forward auth no second request may be possible.
 */
import { createHash } from 'node:crypto';

const tokens = `
:root{color-scheme:light dark;
--page:#f5f3f0;--surface:#fff;--text:#23201c;--quiet:#5f594f;--line:#ded9d1;--edge:#857d72;
--accent:#0b5f56;--accent-strong:#084840;--on-accent:#fff;--mark:#0b5f56;--light:#ffe3a3;
--bad:#a1261b;--bad-wash:#fcefed;--look:#7a4b00;--look-wash:#fdf4e2;--good:#0b5f56;--good-wash:#e8f3f1;
--shadow:0 1px 2px rgb(35 32 28/.06),0 8px 24px rgb(35 32 28/.07);--radius:10px;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Ubuntu,Cantarell,"Helvetica Neue",Arial,sans-serif;
--mono:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace}
@media (prefers-color-scheme:dark){:root{
--page:#171513;--surface:#211e1b;--text:#ece7e0;--quiet:#aea69b;--line:#39342f;--edge:#857c71;
--accent:#63c5b4;--accent-strong:#86d8ca;--on-accent:#06241f;--mark:#2a8a7c;
--bad:#ffa195;--bad-wash:#3a1f1b;--look:#f0c274;--look-wash:#362a14;--good:#63c5b4;--good-wash:#17302c;
--shadow:0 1px 2px rgb(0 0 0/.3)}}
`;

const shapes = `
*,*::before,*::after{box-sizing:border-box}
html{font:100%/1.5 var(--sans);background:var(--page);color:var(--text);-webkit-text-size-adjust:100%}
body{margin:0;min-height:100vh;min-height:100dvh;display:flex;flex-direction:column;align-items:center;
padding:0 16px;overflow-wrap:anywhere}
.top{width:100%;max-width:416px;display:flex;align-items:center;gap:10px;padding:48px 0 20px;font-weight:500}
.wide .top{max-width:880px;padding-top:20px}
.top svg{width:28px;height:28px;flex:none;color:var(--mark)}
.top>span{white-space:nowrap}
.top .end{margin-left:auto;display:flex;align-items:center;gap:16px;font-weight:400}
.top .end button{white-space:nowrap}
main{width:100%;max-width:416px}
.wide main{max-width:880px}
.card{background:var(--surface);border:1px solid var(--line);border-radius:var(--radius);box-shadow:var(--shadow);padding:28px}
h1{font-size:1.375rem;line-height:1.3;font-weight:500;margin:0 0 4px}
h2{font-size:1rem;font-weight:500;margin:28px 0 12px}
p{margin:8px 0;max-width:68ch}
.quiet{color:var(--quiet)}
small,.small{font-size:.875rem}
a{color:var(--accent);text-underline-offset:2px}
a:hover{color:var(--accent-strong)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
form{margin:20px 0 0}
form.inline{margin:0}
label{display:block;font-weight:500;margin:16px 0 6px}
input{display:block;width:100%;font:inherit;color:inherit;background:var(--surface);border:1px solid var(--edge);
border-radius:6px;padding:9px 12px;min-height:44px}
input:focus-visible{outline-offset:0;border-color:var(--accent)}
input[aria-invalid=true]{border-color:var(--bad)}
.hint{color:var(--quiet);font-size:.875rem;margin:6px 0 0}
.field-error{color:var(--bad);font-size:.875rem;margin:6px 0 0}
.field-error::before{content:"! ";font-weight:700}
button,.button{display:inline-block;font:inherit;font-weight:500;text-align:center;text-decoration:none;cursor:pointer;
border:1px solid var(--accent);border-radius:6px;padding:9px 18px;min-height:44px;background:var(--accent);color:var(--on-accent)}
button:hover,.button:hover{background:var(--accent-strong);border-color:var(--accent-strong);color:var(--on-accent)}
.second{background:transparent;color:var(--accent)}
.second:hover{background:transparent;color:var(--accent-strong)}
form.main button{width:100%;margin-top:24px}
.plain{background:none;border:0;padding:0;min-height:24px;color:var(--accent);font-weight:400;text-decoration:underline;text-underline-offset:2px}
.plain:hover{background:none;color:var(--accent-strong)}
.actions{display:flex;flex-wrap:wrap;gap:12px;align-items:center;margin:24px 0 0}
.actions form{margin:0}
.note{border-radius:6px;padding:12px 14px;margin:16px 0 0;border-left:4px solid}
.note p{margin:0}
.note p+p{margin-top:4px}
.note.bad{background:var(--bad-wash);border-color:var(--bad)}
.note.look{background:var(--look-wash);border-color:var(--look)}
.note.good{background:var(--good-wash);border-color:var(--good)}
.note b{font-weight:500}
dl{margin:20px 0 0;border-top:1px solid var(--line)}
dl div{padding:10px 0;border-bottom:1px solid var(--line)}
dt{color:var(--quiet);font-size:.875rem}
dd{margin:0}
dl+p{margin-top:20px}
code{font:.875rem/1.5 var(--mono)}
.going{display:flex;align-items:center;gap:12px;margin:0 0 16px}
.icon{width:40px;height:40px;flex:none;border-radius:8px;object-fit:contain;display:grid;place-items:center;
background:var(--good-wash);color:var(--accent);font-weight:500;font-size:1.125rem}
.apps{list-style:none;margin:20px 0 0;padding:0;display:grid;gap:12px;grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr))}
.apps a{display:flex;gap:14px;align-items:center;height:100%;padding:14px 16px;text-decoration:none;color:inherit}
.apps a:hover{border-color:var(--accent)}
.apps .name{display:block;font-weight:500}
.apps .about{display:block;color:var(--quiet);font-size:.875rem}
.empty{padding:32px 28px;text-align:center}
.empty p{margin:8px auto}
footer{width:100%;max-width:416px;color:var(--quiet);font-size:.8125rem;padding:20px 0 32px;display:flex;flex-wrap:wrap;gap:2px 16px;justify-content:space-between}
.wide footer{max-width:880px}
@media (max-width:480px){.top{padding-top:24px}.wide .top{flex-wrap:wrap}.wide .end{width:100%;margin:0;justify-content:space-between}.card{padding:22px 20px}}
@media (prefers-reduced-motion:no-preference){button,.button,.apps a{transition:background-color .12s,border-color .12s}}
@media (forced-colors:active){.note{border:1px solid}}
`;

/** The whole style sheet. */
export const style = (tokens + shapes).replaceAll('\n', '');

const digest = createHash('sha256').update(style).digest();

/** CSP source that allows the style sheet inline. */
export const styleHash = `'sha256-${digest.toString('base64')}'`;

/** File name of the style sheet below `<webPath>static/`; it changes with the content, so it may be kept for ever. */
export const styleFile = `gatehouse-${digest.toString('hex').slice(0, 16)}.css`;
