/**
 * A histogram of durations that costs a few nanoseconds an observation. The library's own looks its labels up by hash
 * with each one, which is more than the rest of counting a request takes (measured); its text format and the summing of
 * workers are used as they are.
 */
import type { MetricObjectWithValues, MetricValue, MetricValueWithName } from '@prometheus-io/client';

/** Upper bounds in seconds: the library's defaults, which are Prometheus' own. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Observations under one set of labels. */
export class Series {
  /** one counter for each bound, and one for what is above all */
  readonly counts = new Float64Array(BOUNDS.length + 1);
  sum = 0;

  /** @param seconds a finite number */
  observe(seconds: number): void {
    let i = 0;
    while (i < BOUNDS.length && seconds > (BOUNDS[i] as number)) i++;
    (this.counts[i] as number)++;
    this.sum += seconds;
  }
}

/** @typeParam Label names of the labels, in the order their values are given */
export class Durations<Label extends string> {
  readonly #name: string;
  readonly #help: string;
  readonly #labels: readonly Label[];
  readonly #series = new Map<string, { values: readonly string[]; series: Series }>();

  constructor(name: string, help: string, labels: readonly Label[]) {
    this.#name = name;
    this.#help = help;
    this.#labels = labels;
  }

  /** @param values one for each label; callers keep the series they use often */
  series(...values: readonly string[]): Series {
    const key = values.join('\n');
    let found = this.#series.get(key);
    if (found === undefined) this.#series.set(key, (found = { values, series: new Series() }));
    return found.series;
  }

  /** Plain data, as the library gives of its own histograms. */
  snapshot(): MetricObjectWithValues<MetricValue<string>> {
    const values = [...this.#series.values()].flatMap(({ values, series }) => this.#valuesOf(values, series));
    const plain = { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values } as const;
    return plain as unknown as MetricObjectWithValues<MetricValue<string>>; // the type asks for functions as well
  }

  #valuesOf(values: readonly string[], { counts, sum }: Series): MetricValueWithName<string>[] {
    const labels = Object.fromEntries(this.#labels.map((label, i) => [label, values[i] ?? '']));
    const out: MetricValueWithName<string>[] = [];
    let count = 0;
    for (const [i, n] of counts.entries()) {
      count += n;
      out.push({ labels: { le: BOUNDS[i] ?? '+Inf', ...labels }, value: count, metricName: `${this.#name}_bucket` });
    }
    out.push({ labels, value: sum, metricName: `${this.#name}_sum` });
    out.push({ labels, value: count, metricName: `${this.#name}_count` });
    return out;
  }
}
