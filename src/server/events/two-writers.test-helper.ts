/**
 * A process that writes identity events as the control plane does: `two-writers.test-helper.ts <data folder> <name>
 * <count>`. A change that meets one of another process is refused as a whole, and made again.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { CodedError } from '../../contract/errors.ts';
import { testSettings } from '../../settings/settings.test-helper.ts';
import { EMBEDDED_TOKEN } from '../context.test-helper.ts';
import { openContext } from '../context.ts';

const [folder = '', name = '', count = '0'] = process.argv.slice(2);
const log = pino({ level: 'silent' });
const ctx = await openContext({ settings: testSettings(folder), log, embeddedToken: EMBEDDED_TOKEN, httpPort: 9000 });
// both begin together
process.send?.('ready');
await once(process, 'message');
for (let i = 0; i < Number(count);) {
  try {
    await ctx.change(async (tx) => {
      await tx.identity({ kind: 'session-ended', sid: `${name}-${i}` });
      // while a change is under way, others take their turn
      if (i % 3 === 0) await sleep(1);
      await tx.identity({ kind: 'session-ended', sid: `${name}-${i}-more` });
    });
    i++;
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'database-busy') throw error;
    await sleep(Math.random() * 5);
  }
  await sleep(Math.random() * 3);
}
await ctx.close();
process.disconnect?.();
