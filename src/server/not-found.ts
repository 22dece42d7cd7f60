import { CodedError } from '../contract/errors.ts';

/** @param thing what was looked for, in words: `user`, `application` */
export function notFound(thing: string): CodedError {
  return new CodedError('not-found', 404, `There is no such ${thing}. It may have been deleted meanwhile.`);
}
