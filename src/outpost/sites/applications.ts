/** Applications below one domain-level login, as decisions need them (docs/architecture.md, decision 25). */
import { ApplicationsByAddress } from '../../contract/domain-applications.ts';
import type { DomainApplication } from '../../contract/domain-applications.ts';
import { headerValue } from '../../contract/headers.ts';
import type { MetaFacts } from '../headers.ts';
import { hostName } from '../../rules/address.ts';
import { permitMeta } from './permit-meta.ts';
import type { PermitMeta } from './permit-meta.ts';
import { readPath } from '../../rules/canonical-path.ts';
import type { PathReading } from '../../rules/canonical-path.ts';
import { isBelow } from '../../rules/cookie-domain.ts';

/** An application with rules of its own. */
export interface SiteApplication extends DomainApplication {
  /** what the headers say about it */
  readonly permitMeta: PermitMeta;
}

/** Where sites have one application only, there is nothing to tell apart. */
export const ONE_APPLICATION: readonly SiteApplication[] = [];

export interface SiteApplicationsOptions {
  /** bound to hosts and paths */
  bound: readonly DomainApplication[];
  /** the provider's own: it has the rest of the domain */
  own: Pick<DomainApplication, 'slug' | 'name'>;
  domain: string;
  /** host name of the external host */
  authenticationHost: string;
  meta: MetaFacts;
}

export class SiteApplications {
  readonly #byAddress: ApplicationsByAddress<SiteApplication>;
  readonly #domain: string;
  readonly #authenticationHost: string;
  /** whether some have rules of their own; if not, a login that names none is one for the provider's own */
  readonly anyBound: boolean;

  constructor({ bound, own, domain, authenticationHost, meta }: SiteApplicationsOptions) {
    const place = (application: DomainApplication): SiteApplication => ({
      ...application,
      permitMeta: permitMeta({ ...meta, application: headerValue(application.slug) }),
    });
    this.#byAddress = new ApplicationsByAddress(bound.map(place), place({ ...own, host: '', path: '/' }));
    this.anyBound = bound.length > 0;
    this.#domain = domain;
    this.#authenticationHost = authenticationHost;
  }

  /**
   * The applications a question is about. Whoever asks may be called by several names; names outside the domain
   * (services) and the authentication host (which ingresses call) say nothing beside others.
   * @param authorities hosts the question names, with or without port
   * @param path undefined = not known
   * @returns at least one: all must be open to the person
   */
  asked(authorities: readonly string[], path: PathReading | undefined): readonly SiteApplication[] | 'conflict' {
    const readings = path?.kind === 'plain' ? path.readings : undefined;
    let found: readonly SiteApplication[] | undefined;
    for (const authority of authorities) {
      const host = hostName(authority);
      if (host === this.#authenticationHost || !isBelow(host, this.#domain)) continue;
      const here = this.#byAddress.find(host, readings);
      if (found !== undefined && !sameApplications(found, here)) return 'conflict';
      found = here;
    }
    return found ?? this.#byAddress.find(this.#authenticationHost, readings);
  }

  /**
   * The applications of an absolute address that was checked before.
   * @param pathTold whether reverse proxies that lead here tell paths; if not, all of the host must be open
   */
  at(address: string, pathTold: boolean): readonly SiteApplication[] {
    const { hostname, pathname } = new URL(address);
    const path = readPath(pathname);
    const readings = pathTold && path.kind === 'plain' ? path.readings : undefined;
    return this.#byAddress.find(hostName(hostname), readings);
  }
}

/**
 * The first application a person may not open.
 * @param open slugs of those the person may open
 */
export function firstClosed(
  applications: readonly SiteApplication[],
  open: readonly string[],
): SiteApplication | undefined {
  return applications.find(({ slug }) => !open.includes(slug));
}

function sameApplications(a: readonly SiteApplication[], b: readonly SiteApplication[]): boolean {
  return a.length === b.length && a.every((application) => b.includes(application));
}
