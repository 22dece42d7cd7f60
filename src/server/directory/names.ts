/** Names that applications are told: in headers, and in lists of them. */

/**
 * @returns what is wrong with the name of an account, a group or a right. A header carries no control characters and
 *   no spaces at its ends: without them the name would read as another.
 */
export function nameProblem(name: string): string | undefined {
  return name !== name.trim() || holdsControls(name)
    ? 'Leave out spaces at the ends and control characters.'
    : undefined;
}

/** Whether a text holds control characters, a tab and line ends among them. */
export function holdsControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/** Of a text that becomes part of a name here and was checked as something else. */
export function withoutControls(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '');
}
