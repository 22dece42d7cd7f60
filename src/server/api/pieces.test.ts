import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redactReport, withoutPort } from './events.ts';
import { readPk, uuid } from './fields.ts';
import { containing } from './list.ts';
import { avatar } from './objects/avatar.ts';
import { userAgent } from './objects/user-agent.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';
import { check, writable } from './validation.ts';
import { z } from 'zod';

describe('pieces of the REST API', () => {
  it('avatars are pictures of initials that cannot carry markup', () => {
    const svg = (uri: string) => Buffer.from(uri.replace('data:image/svg+xml;base64,', ''), 'base64').toString('utf8');
    assert.match(svg(avatar('Ada Lovelace', 'ab12')), />AL<\/text>/);
    assert.match(svg(avatar('<script>', '')), />&lt;<\/text>/);
    assert.match(svg(avatar('', 'zz')), />\?<\/text>/);
    assert.match(svg(avatar('émile 𝔷ola', 'ff')), />É/);
  });

  it('browsers are recognised under the names of their ancestors', () => {
    const edge =
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.2.3.4';
    assert.deepEqual(
      [userAgent(edge).user_agent, userAgent(edge).os.family, userAgent(edge).os.major],
      [{ family: 'Edge', major: '131', minor: '2', patch: '3' }, 'Windows', '10'],
    );
    const phone =
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1';
    assert.deepEqual([userAgent(phone).user_agent.family, userAgent(phone).os.family], ['Safari', 'iOS']);
    assert.equal(userAgent('').user_agent.family, 'Other');
  });

  it('reports lose queries, credentials and unknown headers', () => {
    const kept = redactReport({
      url: 'https://a/b?c=SECRET#d',
      password: 'SECRET',
      headers: { HOST: 'a', 'X-Y': 'SECRET' },
      message: 'why?',
    });
    assert.deepEqual(kept['headers'], { HOST: 'a', 'X-Y': '…' });
    assert.equal(kept['url'], 'https://a/b?…');
    assert.equal(kept['message'], 'why?');
    assert.ok(!JSON.stringify(kept).includes('SECRET'));
    assert.deepEqual(['1.2.3.4:5', '[::1]:5', '[::1]', '::1', '1.2.3.4'].map(withoutPort), [
      '1.2.3.4',
      '::1',
      '::1',
      '::1',
      '1.2.3.4',
    ]);
  });

  it('keys are read strictly', () => {
    assert.deepEqual(['7', '0', '-1', '1e3', '07', '7 ', '12345678901'].map(readPk), [7, 0, 0, 0, 0, 0, 0]);
    const text = '6F9619FF8B864D11B42D00CF4FC964FF';
    assert.equal(uuid.parse(text), '6f9619ff-8b86-4d11-b42d-00cf4fc964ff');
    assert.equal(uuid.safeParse('6f9619ff').success, false);
    assert.equal(containing('50%_\\'), '%50\\%\\_\\\\%');
  });

  it('bodies: read-only keys are ignored, unknown ones refused, all problems told', () => {
    const body = writable({ name: z.string().min(1), size: z.int().max(5).optional() }, ['pk']);
    assert.deepEqual(check(body.full, { name: 'x', pk: 7 }), { name: 'x' });
    assert.deepEqual(check(body.partial, { pk: 7 }), {});
    assert.throws(
      () => check(body.full, { size: 9, nmae: 'x' }),
      (error: Error & { fields: unknown }) => {
        assert.deepEqual(error.fields, {
          name: ['This field is required.'],
          size: ['Must be at most 5.'],
          nmae: ['Unknown field.'],
        });
        return true;
      },
    );
    assert.throws(() => check(body.partial, { name: null }), /may not be null/);
  });

  it('the strict decoders of these tests are strict', () => {
    const config = {
      error_reporting: { enabled: false, sentry_dsn: '', environment: '', send_pii: false, traces_sample_rate: 0 },
      capabilities: [],
      cache_timeout: 1,
      cache_timeout_flows: 1,
      cache_timeout_policies: 1,
    };
    decode(strict.rootConfig, config);
    assert.throws(() => decode(strict.rootConfig, { ...config, more: 1 }), /no such key/);
    const { capabilities: _, ...less } = config;
    assert.throws(() => decode(strict.rootConfig, less), /expected the key/);
    assert.throws(() => decode(strict.rootConfig, { ...config, cache_timeout: '1' }), /32-bit integer/);
    assert.throws(() => decodePage(strict.rootConfig, { pagination: {}, results: [] }), /the key/);
  });
});
