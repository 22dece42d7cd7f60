import assert from 'node:assert/strict';
import { trace } from './client.ts';
import type { Client } from './client.ts';
import { listenersOn } from './processes.ts';
import type { Part } from './processes.ts';
import type { Person } from './provision.ts';
import { Scene } from './scene.ts';
import { Traffic } from './traffic.ts';
import type { TrafficResult } from './traffic.ts';
import { eventually } from './wait.ts';

/** A scene for tests that kill parts of Gatehouse under traffic. */
export interface CrashScene {
  scene: Scene;
  alice: Person;
  visitor: Client;
}

export async function crashScene(): Promise<CrashScene> {
  const scene = await Scene.start({ gatehouse: { workers: 2 } });
  try {
    const alice = await scene.provision.user('alice');
    await scene.application('wiki');
    const visitor = scene.visitor();
    const page = await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
    assert.equal(page.status, 200, trace(page));
    return { scene, alice, visitor };
  } catch (error) {
    console.error(scene.gatehouse.tail());
    await scene.stop();
    throw error;
  }
}

export function trafficOf({ scene, visitor }: CrashScene, concurrency = 4): Traffic {
  const url = new URL(scene.address('wiki'));
  return new Traffic({
    origin: scene.gatehouse.origin,
    host: url.host,
    cookie: visitor.jar.header(url),
    concurrency,
    pauseMs: 2, // steady, and room for everything else on the machine
  });
}

/** Kills one process of a part and waits until another does its work. @returns how long that took, ms */
export async function killAndAwaitReturn({ scene }: CrashScene, part: Part): Promise<number> {
  const before = scene.gatehouse.pids(part).length;
  const killed = scene.gatehouse.kill(part);
  const { ms } = await eventually(`${part} back`, 60_000, () => {
    const now = scene.gatehouse.pids(part);
    assert.ok(!now.includes(killed), 'the killed process is still listed');
    assert.equal(now.length, before);
    if (part === 'worker') assert.equal(listenersOn(scene.gatehouse.port), before);
  });
  if (part === 'control-plane') await scene.gatehouse.ready();
  return ms;
}

/** The session made before goes on, and a new login works. */
export async function assertNothingLost({ scene, alice, visitor }: CrashScene): Promise<void> {
  const page = await visitor.open(`${scene.address('wiki')}/after`);
  assert.equal(page.status, 200, trace(page));
  assert.equal(page.url.href, `${scene.address('wiki')}/after`, trace(page));
  assert.equal(page.hops.length, 1, `signed in all along:\n${trace(page)}`);
  const fresh = await scene.visitor().enter(`${scene.address('wiki')}/new?x=1`, 'alice', alice.password);
  assert.equal(fresh.url.href, `${scene.address('wiki')}/new?x=1`, trace(fresh));
}

export const share = (result: TrafficResult): string =>
  `${result.failed} of ${result.total} requests failed (${JSON.stringify(result.kinds)}), ${result.repeated} repeated`;
