/** Writes small answers: no body, text, JSON, redirect, page. Each is complete and cached by nobody. */
import type { ServerResponse } from 'node:http';
import type { RenderedPage } from '../look/page.ts';

type Flat = readonly string[];

/** @param flat name, value, name, value, … */
export function sendEmpty(res: ServerResponse, status: number, flat: Flat = []): void {
  const framing = status === 204 || status === 304 ? [] : ['Content-Length', '0'];
  res.writeHead(status, [...flat, ...framing]);
  res.end();
}

export function sendBody(res: ServerResponse, status: number, flat: Flat, body: string): void {
  const size = Buffer.byteLength(body);
  sizes.set(res, size);
  res.writeHead(status, [...flat, 'Content-Length', String(size)]);
  res.end(body);
}

const sizes = new WeakMap<ServerResponse, number>();

/** Bytes of the body an answer of this file has, for the access log. */
export const sizeOf = (res: ServerResponse): number => sizes.get(res) ?? 0;

/** Plain text as the published outpost sends it (spec/outpost.md 3.2). */
export function sendText(res: ServerResponse, status: number, text: string, flat: Flat = []): void {
  sendBody(
    res,
    status,
    ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff', ...NO_STORE, ...flat],
    `${text}\n`,
  );
}

export function sendJson(res: ServerResponse, status: number, value: unknown, flat: Flat = []): void {
  sendBody(res, status, ['Content-Type', 'application/json', ...NO_STORE, ...flat], JSON.stringify(value));
}

export function sendPage(res: ServerResponse, status: number, page: RenderedPage, flat: Flat = []): void {
  sendBody(res, status, [...Object.entries(page.headers).flat(), ...flat], page.body);
}

/** @param location absolute address; only ours or one that was checked */
export function sendRedirect(res: ServerResponse, location: string, setCookies: Flat = []): void {
  sendEmpty(res, 302, ['Location', encodeLocation(location), ...NO_STORE, ...cookieHeaders(setCookies)]);
}

export function cookieHeaders(setCookies: Flat): string[] {
  return setCookies.flatMap((cookie) => ['Set-Cookie', cookie]);
}

export const NO_STORE: Flat = ['Cache-Control', 'no-store'];

/** Non-ASCII bytes cannot stand in a header: percent-encoded, as published. */
function encodeLocation(location: string): string {
  return location.replace(/[^\u0021-\u007e]+/g, (part) => encodeURI(part));
}
