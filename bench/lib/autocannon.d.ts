/** The part of autocannon the benchmark uses; the package brings no types. */
declare module 'autocannon' {
  export interface Options {
    url: string;
    headers: Readonly<Record<string, string>>;
    connections: number;
    /** requests per second over all connections */
    overallRate: number;
    /** seconds */
    duration: number;
  }
  export interface Result {
    latency: { p50: number; p99: number; max: number };
    requests: { average: number };
    non2xx: number;
    errors: number;
  }
  export default function autocannon(options: Options): Promise<Result>;
}
