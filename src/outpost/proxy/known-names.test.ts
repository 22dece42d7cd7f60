import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Client } from 'undici';
import constants from 'undici/lib/core/constants.js';
import { IDENTITY_HEADERS } from '../../contract/headers.ts';
import { tellKnownNames } from './known-names.ts';

describe('header names that undici is told', () => {
  const client = new Client('http://127.0.0.1:9');
  after(() => client.destroy());

  /** What undici has against a name. */
  const problemOf = (name: string): string => {
    let problem = '';
    const nothing = () => undefined;
    const onResponseError = (_: unknown, error: Error) => void (problem ||= error.message);
    const handler = {
      onRequestStart: nothing,
      onResponseStart: nothing,
      onResponseData: nothing,
      onResponseEnd: nothing,
    };
    client.dispatch({ path: '/', method: 'GET', headers: [name, 'x'] }, { ...handler, onResponseError });
    return problem;
  };

  it('are those it does not look at again', () => {
    const known = constants.headerNameLowerCasedRecord;
    assert.equal(problemOf('no name'), 'invalid header key');
    known['no name'] = 'no name';
    try {
      assert.equal(problemOf('no name'), '');
    } finally {
      delete known['no name'];
    }
    assert.equal(problemOf('no name'), 'invalid header key');
  });

  it('are all that a carried request always has', () => {
    tellKnownNames();
    for (const name of [...IDENTITY_HEADERS, 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto']) {
      assert.equal(constants.headerNameLowerCasedRecord[name], name.toLowerCase());
    }
  });
});
