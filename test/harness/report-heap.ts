/**
 * Loaded into a process by `NODE_OPTIONS=--import`: on SIGUSR2 it collects garbage and writes the bytes of its heap that
 * are in use to `<HEAP_REPORTS>/<pid>`.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
process.on('SIGUSR2', () => {
  // what finalizers let go of is collected the second time
  collect();
  collect();
  const file = join(process.env['HEAP_REPORTS'] ?? '', String(process.pid));
  writeFileSync(`${file}.new`, String(process.memoryUsage().heapUsed));
  renameSync(`${file}.new`, file);
});
