/** Who may speak for others: trusted peers and the client behind them (spec/security.md D). */
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = [Address, number];

/** `192.0.2.1`, `192.0.2.1:8080`, `[2001:db8::1]`, `[2001:db8::1]:8080`: what proxies write into X-Forwarded-For. */
const HOP = /^(?:\[([^\]]+)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+)(?::\d{1,5})?)$/;
/** RFC 7239 6.2 and 6.3: a hop that does not want to be named */
const HIDDEN = /^(?:unknown|_[a-z0-9._-]+)$/i;
/** Bounds of the two caches. They hold what repeats: a few proxies, and the visitors of a moment. */
const MAX_KNOWN = 4096;
/** More hops than this in one header is no honest chain. */
const MAX_HOPS = 64;

export class Peers {
  readonly #trusted: readonly Network[];
  readonly #strict: readonly Network[] | undefined;
  readonly #peers = new Map<string, { address: string; trusted: boolean }>();
  readonly #chains = new Map<string, string | undefined>();

  /**
   * @param cidrs networks that are trusted; empty = nobody
   * @param strict narrows them further: a peer must be in this list too
   * @throws TypeError for text that is no network (settings were checked before)
   */
  constructor(cidrs: readonly string[], strict?: readonly string[]) {
    this.#trusted = cidrs.map(network);
    this.#strict = strict?.map(network);
  }

  /** @param socketAddress `remoteAddress` of the socket; empty when it is already gone */
  peer(socketAddress: string): { address: string; trusted: boolean } {
    const known = this.#peers.get(socketAddress);
    if (known !== undefined) return known;
    const parsed = parse(socketAddress);
    const found =
      parsed === undefined
        ? { address: socketAddress, trusted: false }
        : { address: parsed.toString(), trusted: this.#isTrusted(parsed) };
    if (this.#peers.size >= MAX_KNOWN) this.#peers.clear();
    this.#peers.set(socketAddress, found);
    return found;
  }

  /**
   * Resolves the client behind trusted hops, from the right.
   * @param peer address of the connecting peer, which is trusted
   * @param forwardedFor all X-Forwarded-For headers, joined with commas
   * @returns the right-most hop that is not trusted, the left-most one if all are, or `undefined` when a hop that
   *   has to be read is no address
   */
  client(peer: string, forwardedFor: string): string | undefined {
    const key = `${peer} ${forwardedFor}`;
    if (this.#chains.has(key)) return this.#chains.get(key);
    const found = this.#resolve(peer, forwardedFor);
    if (this.#chains.size >= MAX_KNOWN) this.#chains.clear();
    if (key.length <= 512) this.#chains.set(key, found);
    return found;
  }

  #resolve(peer: string, forwardedFor: string): string | undefined {
    let client = peer;
    const hops = forwardedFor.split(',', MAX_HOPS + 1);
    if (hops.length > MAX_HOPS) return undefined;
    for (const raw of hops.reverse()) {
      const hop = raw.trim();
      if (hop === '') continue;
      if (HIDDEN.test(hop)) return client;
      const address = parse(hop);
      if (address === undefined) return undefined;
      client = address.toString();
      if (!this.#isTrusted(address)) return client;
    }
    return client;
  }

  #isTrusted(address: Address): boolean {
    return inside(address, this.#trusted) && (this.#strict === undefined || inside(address, this.#strict));
  }
}

function inside(address: Address, networks: readonly Network[]): boolean {
  return networks.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
}

/** Reads an address; `::ffff:192.0.2.1` becomes 192.0.2.1, a zone index is dropped. */
function parse(text: string): Address | undefined {
  const match = HOP.exec(text);
  const bare = match?.[1] ?? match?.[2] ?? text;
  const zone = bare.indexOf('%');
  const address = zone < 0 ? bare : bare.slice(0, zone);
  // ipaddr.js also takes `127.1` and octal parts, which no proxy writes and attackers do
  if (!/^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$/i.test(address)) return undefined;
  return ipaddr.isValid(address) ? ipaddr.process(address) : undefined;
}

function network(cidr: string): Network {
  const [base, bits] = ipaddr.parseCIDR(cidr.includes('/') ? cidr : cidr + (cidr.includes(':') ? '/128' : '/32'));
  if (base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && bits >= 96) return [base.toIPv4Address(), bits - 96];
  return [base, bits];
}
