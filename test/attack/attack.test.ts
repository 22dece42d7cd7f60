/** Every attack of every rule against one running product. */
import { after, before, describe, it } from 'node:test';
import { cases } from './cases.ts';
import { startEnv, type Env } from './support/env.ts';

describe('attacks', () => {
  let env: Env;
  before(async () => {
    env = await startEnv();
  });
  after(() => env?.close());
  for (const attack of cases) {
    it(`${attack.id} ${attack.title}`, async (context) => {
      try {
        await attack.run(env);
      } catch (error) {
        context.diagnostic(env.gatehouse.tail(15));
        throw error;
      }
    });
  }
});
