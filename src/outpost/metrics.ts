import { Counter, Gauge, Registry } from '@prometheus-io/client';
import type { MetricObjectWithValues, MetricValue } from '@prometheus-io/client';
import { PUBLISHED_VERSION } from '../contract/version.ts';
import { Durations } from './durations.ts';
import type { Series } from './durations.ts';
import { verdictOf } from './reasons.ts';
import type { Reason } from './reasons.ts';

/** What a worker tells the supervisor about its metrics. Plain data. */
export type MetricSnapshot = MetricObjectWithValues<MetricValue<string>>[];

/** `type` of the request histogram; `app` is everything a visitor asks for (spec/outpost.md 15.1). */
export type RequestType = 'app' | 'ping' | 'static';

/** Label of hosts that belong to no provider: what clients put into Host never becomes a series. */
const OTHER = 'other';
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** What is counted of an answered request. */
export interface AnsweredRequest {
  method: string;
  /** external host of the application, empty for none */
  siteHost: string;
  type: RequestType;
  /** ms from the request's head to the last byte of the answer */
  runtime: number;
  reason: Reason;
}

/**
 * Metrics of one worker (spec/outpost.md 15.1). Labels are bounded: hosts are the external hosts of providers,
 * methods the common ones, everything else is `other`. Label children are looked up once and kept.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #duration = new Durations(
    'authentik_outpost_proxy_request_duration_seconds',
    'Time an outpost took to answer',
    ['outpost_name', 'method', 'host', 'type'],
  );
  readonly #upstream = new Durations(
    'authentik_outpost_proxy_upstream_response_duration_seconds',
    'Time applications took to answer',
    ['outpost_name', 'method', 'scheme', 'host', 'upstream_host'],
  );
  readonly #decisions: Counter<'outpost_name' | 'verdict' | 'reason'>;
  readonly #children = new Map<string, Series>();
  /** of the request before: mostly the same */
  #lastUpstream: { method: string; scheme: string; host: string; upstreamHost: string; series: Series } | undefined;
  /** undefined before the first configuration: nothing is counted for an outpost without a name */
  #outpost: string | undefined;
  #hosts: ReadonlySet<string> = new Set();

  constructor() {
    this.#decisions = new Counter({
      name: 'gatehouse_outpost_decisions_total',
      help: 'Decisions about requests, by verdict and first reason',
      labelNames: ['outpost_name', 'verdict', 'reason'],
      registers: [this.#registry],
    });
  }

  /**
   * Takes a new configuration. Series of hosts that are gone stay until the process ends, as Prometheus expects.
   * @param outpost name of the outpost
   * @param hosts authorities of the external hosts, lower case, as the site look-up names them
   */
  configure(outpost: string, hosts: Iterable<string>): void {
    this.#outpost = outpost;
    this.#hosts = new Set(hosts);
    this.#children.clear();
    this.#lastUpstream = undefined;
  }

  /** Counts answered requests together; runs of the same kind, which batches mostly are, share the look-ups. */
  answered(requests: readonly AnsweredRequest[]): void {
    if (this.#outpost === undefined) return;
    let last: AnsweredRequest | undefined;
    let child: Series | undefined;
    const reasons = new Map<Reason, number>();
    for (const request of requests) {
      const { method, siteHost, type, reason } = request;
      if (last?.method !== method || last.siteHost !== siteHost || last.type !== type) {
        child = this.#requests(method, siteHost, type);
      }
      child?.observe(request.runtime / 1000);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      last = request;
    }
    for (const [reason, count] of reasons) this.#decisions.labels(this.#outpost, verdictOf(reason), reason).inc(count);
  }

  #requests(method: string, host: string, type: RequestType): Series | undefined {
    if (this.#outpost === undefined) return undefined;
    const [m, h] = [this.#method(method), this.#host(host)];
    const key = `${type} ${m} ${h}`;
    let child = this.#children.get(key);
    if (!child) this.#children.set(key, (child = this.#duration.series(this.#outpost, m, h, type)));
    return child;
  }

  /** @param upstreamHost authority of the application; one per provider, so bounded */
  upstream(method: string, scheme: string, host: string, upstreamHost: string, seconds: number): void {
    if (this.#outpost === undefined) return;
    const last = this.#lastUpstream;
    const same = last?.method === method && last.scheme === scheme && last.host === host;
    if (same && last.upstreamHost === upstreamHost) return last.series.observe(seconds);
    const [m, h] = [this.#method(method), this.#host(host)];
    const key = `up ${m} ${h} ${scheme} ${upstreamHost}`;
    let series = this.#children.get(key);
    if (!series) this.#children.set(key, (series = this.#upstream.series(this.#outpost, m, scheme, h, upstreamHost)));
    this.#lastUpstream = { method, scheme, host, upstreamHost, series };
    series.observe(seconds);
  }

  /** Everything counted so far, to be summed with other workers by {@link sumMetrics}. */
  async snapshot(): Promise<MetricSnapshot> {
    const counters = await this.#registry.getMetricsAsJSON();
    return [this.#duration.snapshot(), this.#upstream.snapshot(), ...counters];
  }

  #method(method: string): string {
    return METHODS.has(method) ? method : OTHER;
  }

  #host(host: string): string {
    return this.#hosts.has(host) ? host : OTHER;
  }
}

const OUTPOST_LABELS = ['outpost_name', 'outpost_type', 'uuid', 'version', 'build'] as const;

/** Gauges that exist once per outpost: the supervisor's. */
export class OutpostGauges {
  readonly #registry = new Registry();
  readonly #info: Gauge<(typeof OUTPOST_LABELS)[number]>;
  readonly #updated: Gauge<(typeof OUTPOST_LABELS)[number]>;
  readonly #connection: Gauge<'outpost_name' | 'outpost_type' | 'uuid'>;

  constructor() {
    const registers = [this.#registry];
    this.#info = new Gauge({
      name: 'authentik_outpost_info',
      help: 'The running outpost',
      labelNames: OUTPOST_LABELS,
      registers,
    });
    this.#updated = new Gauge({
      name: 'authentik_outpost_last_update',
      help: 'Unix time of the last configuration taken',
      labelNames: OUTPOST_LABELS,
      registers,
    });
    this.#connection = new Gauge({
      name: 'authentik_outpost_connection',
      help: 'Whether the control link is up',
      labelNames: ['outpost_name', 'outpost_type', 'uuid'],
      registers,
    });
  }

  /**
   * @param outpost name of the outpost
   * @param instance uuid of this process
   * @param seconds unix time of the refresh
   */
  updated(outpost: string, instance: string, seconds: number): void {
    this.#info.reset(); // a renamed outpost is one outpost, not two
    this.#updated.reset();
    this.#info.set(outpostLabels(outpost, instance), 1);
    this.#updated.set(outpostLabels(outpost, instance), seconds);
  }

  connection(outpost: string, instance: string, up: boolean): void {
    this.#connection.reset();
    this.#connection.set({ outpost_name: outpost, outpost_type: 'proxy', uuid: instance }, up ? 1 : 0);
  }

  snapshot(): Promise<MetricSnapshot> {
    return this.#registry.getMetricsAsJSON();
  }
}

function outpostLabels(outpost: string, instance: string) {
  return { outpost_name: outpost, outpost_type: 'proxy', uuid: instance, version: PUBLISHED_VERSION, build: '' };
}

/** Prometheus text of several snapshots: counters and histograms summed, as one outpost. */
export function sumMetrics(snapshots: readonly MetricSnapshot[]): Promise<string> {
  return Registry.aggregate([...snapshots]).metrics();
}

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
