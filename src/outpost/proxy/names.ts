import { Recent } from '../../rules/recent.ts';

/** Names longer than this are no usual header's. */
const MAX_LENGTH = 64;
const MAX_NAMES = 1024;

/** What follows from a header's name, by the name as it was sent: browsers and applications send the same few again and again. */
export class Names<T> {
  readonly #known = new Recent<T>(MAX_NAMES);
  readonly #read: (name: string) => T;

  /** @param read pure: asked again when a name was forgotten */
  constructor(read: (name: string) => T) {
    this.#read = read;
  }

  of(name: string): T {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const read = this.#read(name);
    if (name.length <= MAX_LENGTH) this.#known.set(name, read);
    return read;
  }
}
