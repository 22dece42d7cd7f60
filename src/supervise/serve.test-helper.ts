/** Runs serve() with a fake control plane; settings come as JSON in the first argument. Spawned by serve.test.ts. */
import { CodedError } from '../contract/errors.ts';
import type { Settings } from '../settings/settings.ts';
import { fakeControlPlane } from './fake-control-plane.test-helper.ts';
import { serve } from './serve.ts';

const settings = JSON.parse(process.argv[2]!) as Settings;
try {
  const code = await serve(settings, {
    controlPlaneModule: new URL('./fake-control-plane.test-helper.ts', import.meta.url),
    runControlPlane: fakeControlPlane,
  });
  process.exit(code);
} catch (error) {
  console.error(error instanceof CodedError ? `gatehouse: ${error.message} [${error.code}]` : error);
  process.exit(1);
}
