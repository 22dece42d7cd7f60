import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import { DEFAULT_LIMITS } from './proxy/target.ts';

describe('the idle limits of the settings', () => {
  it('hold for what is carried', { timeout: 60_000 }, async (t) => {
    const upstream = createServer((req, res) => void req.resume().on('end', () => res.end()));
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const internal_host = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
    const provider = providerConfig({ mode: 'proxy', internal_host, skip_path_regex: '^/' });
    const outpost = await TestOutpost.start([provider], { carryLimits: { ...DEFAULT_LIMITS, clientSends: 150 } });
    t.after(async () => {
      await outpost.stop();
      upstream.closeAllConnections();
      upstream.close();
    });
    // far below the default, so that only the limit given above can end this
    const socket = connect(outpost.port, '127.0.0.1').setTimeout(10_000, () => socket.destroy(new Error('still open')));
    socket.write('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\nabc');
    let answer = '';
    socket.on('data', (part: Buffer) => (answer += part.toString('latin1')));
    const [failed] = (await once(socket, 'close')) as [boolean];
    assert.equal(failed, false);
    assert.doesNotMatch(answer, /^HTTP\/1\.1 2/);
  });
});
