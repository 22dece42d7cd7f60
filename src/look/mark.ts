/** The mark: an arch with a gap of light. */
import { trusted } from './html.ts';
import type { Html } from './html.ts';

const arch = 'M3 30V15a13 13 0 0 1 26 0v15z';
const light = 'M13 30V15.5a3 3 0 0 1 6 0V30z';

/** Inline, coloured by the style sheet's tokens; the name stands beside it, so it is hidden from screen readers. */
export const mark: Html = trusted(
  `<svg viewBox="0 0 32 32" aria-hidden="true" focusable="false"><path fill="currentColor" d="${arch}"/>` +
    `<path fill="var(--light)" d="${light}"/></svg>`,
);

/** The mark as icon of the tab, inside the page: behind forward auth a request for /favicon.ico reaches the application. */
export const iconHref: string =
  'data:image/svg+xml,' +
  encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#0b5f56" d="${arch}"/>` +
      `<path fill="#ffe3a3" d="${light}"/></svg>`,
  );
