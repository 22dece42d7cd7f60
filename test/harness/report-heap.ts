/**
 * Loaded into a process by `NODE_OPTIONS=--import`: on SIGUSR2 it collects garbage and writes the bytes of its heap that
 * are in use to `<HEAP_REPORTS>/<pid>`, as JSON: all of them, and those that are data. The rest is compiled code, of which
 * V8 makes more for as long as it finds that something is used a lot.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
process.on('SIGUSR2', () => {
  // what finalizers let go of is collected the second time
  collect();
  collect();
  const file = join(process.env['HEAP_REPORTS'] ?? '', String(process.pid));
  const used = (pattern: RegExp) =>
    getHeapSpaceStatistics()
      .filter(({ space_name }) => pattern.test(space_name))
      .reduce((sum, { space_used_size }) => sum + space_used_size, 0);
  writeFileSync(
    `${file}.new`,
    JSON.stringify({ all: used(/./), data: used(/^(new|old|large_object|new_large_object)_/) }),
  );
  renameSync(`${file}.new`, file);
});
