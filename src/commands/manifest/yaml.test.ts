import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parse, parseAllDocuments } from 'yaml';
import { Comment, documents, yaml } from './yaml.ts';
import type { YamlObject } from './yaml.ts';

describe('the YAML of manifests', () => {
  it('says what it was given, whatever stands in it, to readers of both versions', () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom(...ODD)),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('any'), { maxLength: 4 }),
        tie('object'),
      ),
      object: fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...ODD)), tie('any'), {
        maxKeys: 4,
        noNullPrototype: true,
      }),
    })).object;
    fc.assert(
      fc.property(value, (data) => {
        const text = yaml(data as YamlObject);
        if (Object.keys(data as object).length === 0) return;
        assert.deepEqual(parse(text), data, text);
        assert.deepEqual(parse(text, { version: '1.1', merge: false }), data, text);
        assert.match(text, /^[ -~\n]*$/);
      }),
      { numRuns: 150 },
    );
  });

  it('is as a person would write it', () => {
    const value = {
      note: new Comment('First line.', '', 'Second line.'),
      kind: 'Service',
      empty: {},
      none: [],
      left: undefined,
      ports: [
        { name: 'http', port: 9000 },
        { name: 'https', port: 9443 },
      ],
      command: ['serve', '--x'],
      nested: [['a'], []],
    };
    assert.equal(
      yaml(value),
      `# First line.
#
# Second line.
kind: Service
empty: {}
none: []
ports:
  - name: http
    port: 9000
  - name: https
    port: 9443
command:
  - serve
  - '--x'
nested:
  - - a
  - []
`,
    );
    assert.deepEqual(
      parseAllDocuments(documents([{ a: 1 }, { b: 2 }])).map((d) => d.toJS() as unknown),
      [{ a: 1 }, { b: 2 }],
    );
  });
});

/** What other kinds of values look like, and what ends or begins something. */
const ODD = (
  'true|Yes|off|null|~|1|0x1f|1e3|.inf|1:30|2026-01-01|<<|=|# no|- a|? b|: c|a: b|a #b|{a}|[b]|*c|&d|!e|%f|@g|`h|"i|\'j|' +
  '---|...|\u2028|\u0085|\u0007|\ufeff|a\nb|\t| a |\\|$HOME|{{x}}|constructor|é|😀|\ud800'
).split('|');
