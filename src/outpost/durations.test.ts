import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Histogram, Registry } from '@prometheus-io/client';
import { Durations } from './durations.ts';

describe('Durations', () => {
  it('says the same as a histogram of the library', async () => {
    const own = new Durations('d_seconds', 'Durations', ['a', 'b']);
    const registry = new Registry();
    const labelNames = ['a', 'b'];
    const theirs = new Histogram({ name: 'd_seconds', help: 'Durations', labelNames, registers: [registry] });
    for (const seconds of [0, 0.005, 0.0050001, 0.03, 0.3, 1, 9.99, 10, 11, 3600]) {
      own.series('x', 'y "z"').observe(seconds);
      theirs.labels('x', 'y "z"').observe(seconds);
    }
    own.series('x', 'other').observe(0.2);
    theirs.labels('x', 'other').observe(0.2);
    const lines = (text: string) => text.split('\n').map(sortLabels).sort();
    const [mine, expected] = [
      Registry.aggregate([[own.snapshot()]]),
      Registry.aggregate([await registry.getMetricsAsJSON()]),
    ];
    assert.deepEqual(lines(await mine.metrics()), lines(await expected.metrics()));
  });

  it('survives the way between processes', () => {
    const own = new Durations('d_seconds', 'Durations', ['a']);
    own.series('x').observe(1);
    assert.deepEqual(structuredClone(own.snapshot()), own.snapshot());
  });
});

const sortLabels = (line: string) =>
  line.replace(/\{(.*)\}/, (_, labels: string) => `{${labels.split(',').sort().join(',')}}`);
