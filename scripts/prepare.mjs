/**
 * Makes a clone ready to run: installs the npm packages when they are not those of package-lock.json, and with
 * `--build` compiles the sources when they changed. Does nothing, quickly, when nothing changed.
 *
 * Plain JavaScript without packages: npm starts it with whatever Node.js the machine has (20 or newer), before
 * anything is installed. All other scripts run after it, on the Node.js that was installed.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { build } from './lib/build.mjs';
import { install, packagesFit, provideNode } from './lib/install.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const node = path.join(root, 'node_modules/.bin/node');

try {
  if (!packagesFit(root)) install(root);
  if (!existsSync(node)) provideNode(root);
  if (process.argv.includes('--build')) build(root, node);
} catch (error) {
  // An Error of ours is a sentence for the person at the terminal; anything else is a fault in these scripts.
  console.error(error instanceof Error && error.name === 'PrepareError' ? `gatehouse: ${error.message}` : error);
  process.exitCode = 1;
}
