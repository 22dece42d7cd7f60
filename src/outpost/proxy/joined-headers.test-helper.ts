import type { JoinedHeaders } from './joined-headers.ts';

/** @returns name, value, …, as they are read on the other side */
export function apart({ name, rest }: JoinedHeaders): string[] {
  return `${name}: ${rest}`.split('\r\n').flatMap((line) => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
}
