/** `gatehouse serve --demo`: a sample application behind a login, with people to try it. */
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Api } from './api.ts';
import { startApplication } from './application.ts';
import { configureDemo, GROUP, type Username } from './configure.ts';

export interface DemoOptions {
  /** how to reach the identity server */
  fetch: typeof fetch;
  /** address of its REST API, up to and with `/api/v3/` */
  apiBase: string;
  /** key of an administrator's API token */
  token: string;
  /** port browsers use */
  httpPort: number;
  /** keeps the passwords between starts, readable for its owner only */
  dataFile: string;
}

export interface Demo {
  /** lines for the person at the terminal: addresses, names, passwords */
  instructions: string[];
  close: () => Promise<void>;
}

/** What is remembered between starts. */
interface Remembered {
  port: number;
  passwords: Record<Username, string>;
}

/** Starts the sample application and sets everything up around it. @throws CodedError `demo-not-configured` */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const earlier = read(options.dataFile);
  const passwords = earlier?.passwords ?? { alice: newPassword(), bob: newPassword() };
  const application = await startApplication(earlier?.port ?? 0);
  const externalHosts = {
    demo: `http://demo.localhost:${options.httpPort}`,
    wiki: `http://wiki.localhost:${options.httpPort}`,
  };
  try {
    await configureDemo(new Api(options.fetch, options.apiBase, options.token), {
      internalHost: `http://127.0.0.1:${application.port}`,
      externalHosts,
      passwords,
      newPasswords: earlier === undefined,
    });
    // Only now: passwords are remembered once they are really set.
    const remembered: Remembered = { port: application.port, passwords };
    writeFileSync(options.dataFile, `${JSON.stringify(remembered, null, 2)}\n`, { mode: 0o600 });
  } catch (error) {
    await application.close();
    throw error;
  }
  return {
    instructions: [
      'Demo: a sample application without a login of its own. Open in a browser on this machine:',
      `  ${externalHosts.demo}/  for everybody who can sign in`,
      `  ${externalHosts.wiki}/  only for the group ${GROUP}`,
      'and sign in as:',
      `  alice  ${passwords.alice}  (in the group)`,
      `  bob    ${passwords.bob}  (not in the group: Wiki refuses)`,
    ],
    close: application.close,
  };
}

function read(file: string): Remembered | undefined {
  try {
    const { port, passwords } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Remembered>;
    const usable =
      typeof port === 'number' && typeof passwords?.alice === 'string' && typeof passwords.bob === 'string';
    return usable ? { port, passwords } : undefined;
  } catch {
    return undefined;
  }
}

const LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789'; // none that look alike: people type these

/** Three groups of five letters: 75 bits. */
function newPassword(): string {
  const group = () => Array.from({ length: 5 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
  return [group(), group(), group()].join('-');
}
