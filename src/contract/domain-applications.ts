/** Applications on hosts below a domain-level provider, and which of them an address belongs to. */

/** One application at one address. */
export interface DomainApplication {
  slug: string;
  name: string;
  /** lower-case host name without port */
  host: string;
  /** `/` for the whole host, else like `/wiki`: decoded, without slash at the end */
  path: string;
}

/** Where an application lies; the rest of it is the user's of {@link ApplicationsByAddress}. */
type Placed = Pick<DomainApplication, 'host' | 'path'>;

/**
 * Finds applications by address: the longest path prefix by whole segments. An address that servers understand in
 * different ways belongs to each application it may lead to; who may not open all of them gets nothing.
 */
export class ApplicationsByAddress<A extends Placed> {
  readonly #hosts = new Map<string, HostEntry<A>>();
  readonly #none: readonly [A];

  /** @param none stands for all addresses no application is bound to */
  constructor(applications: readonly A[], none: A) {
    this.#none = [none];
    for (const [host, here] of Map.groupBy(applications, (application) => application.host)) {
      const sorted = here.toSorted((a, b) => b.path.length - a.path.length);
      const root = sorted.at(-1)?.path === '/' ? [] : [none];
      this.#hosts.set(host, {
        all: [...sorted, ...root],
        places: sorted.map((application) => new Place(application)),
      });
    }
  }

  /**
   * @param host lower case, without port and without dot at the end
   * @param readings every form in which an application may understand the path, decoded; undefined = not known, or too
   *   ambiguous to tell
   * @returns at least one; the first is the one the address names as it stands
   */
  find(host: string, readings: readonly string[] | undefined): readonly A[] {
    const entry = this.#hosts.get(host);
    if (entry === undefined) return this.#none;
    if (entry.all.length === 1 || readings === undefined) return entry.all;
    let found: readonly A[] | undefined;
    for (const reading of readings) {
      const exact = match(entry, reading, false) ?? this.#none;
      found = found === undefined ? exact : join(found, exact);
      // some servers tell letters of both cases apart, some do not
      found = join(found, match(entry, reading, true) ?? this.#none);
    }
    return found ?? entry.all;
  }
}

interface HostEntry<A extends Placed> {
  readonly all: readonly A[];
  /** longest path first */
  readonly places: readonly Place<A>[];
}

class Place<A extends Placed> {
  readonly alone: readonly [A];
  readonly #path: string;
  readonly #folded: string;

  constructor(application: A) {
    this.alone = [application];
    this.#path = application.path === '/' ? '' : application.path;
    this.#folded = this.#path.toLowerCase();
  }

  /** @param path lower case when `folded` */
  covers(path: string, folded: boolean): boolean {
    const own = folded ? this.#folded : this.#path;
    return path.startsWith(own) && (path.length === own.length || path.codePointAt(own.length) === SLASH);
  }
}

const SLASH = 0x2f;

function match<A extends Placed>(entry: HostEntry<A>, path: string, folded: boolean): readonly [A] | undefined {
  const text = folded ? path.toLowerCase() : path;
  return entry.places.find((place) => place.covers(text, folded))?.alone;
}

function join<A>(one: readonly A[], other: readonly [A]): readonly A[] {
  return one.includes(other[0]) ? one : [...one, other[0]];
}
