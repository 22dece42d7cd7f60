import { cpSync, existsSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './harness/program.ts';

export interface Instruction {
  name: string;
  /** what stands behind the name, on one line */
  text: string;
}

export interface Stage {
  name: string;
  from: string;
  instructions: Instruction[];
}

/** The stages of our Dockerfile, in order, with variables put in. */
export function dockerfileStages(): Stage[] {
  const lines = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const variables = new Map<string, string>();
  const stages: Stage[] = [];
  for (const line of lines) {
    const [, name = '', raw = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    const text = raw.replaceAll(/\$\{(\w+)\}/g, (all, variable: string) => variables.get(variable) ?? all);
    if (name === 'ARG' && stages.length === 0) {
      const [variable = '', value = ''] = text.split('=', 2);
      variables.set(variable, value);
    } else if (name === 'FROM') {
      const [, from = '', stage = ''] = /^(\S+)\s+AS\s+(\S+)$/.exec(text) ?? [];
      stages.push({ name: stage, from, instructions: [] });
    } else {
      if (stages.length === 0) throw new TypeError(`${line} stands before the first stage`);
      stages.at(-1)?.instructions.push({ name, text });
    }
  }
  return stages;
}

/** Sources and target of a COPY without flags. */
export const copied = ({ text }: Instruction): { sources: string[]; target: string } => {
  const words = text.split(/\s+/);
  return { sources: words.slice(0, -1), target: words.at(-1) ?? '' };
};

/** Whether a path of the clone reaches the builder, by .dockerignore: the last line that fits counts. */
export function reachesBuilder(path: string): boolean {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  let reaches = true;
  for (const line of lines.filter((text) => text !== '' && !text.startsWith('#'))) {
    // what fits a folder fits all in it; a star stands for dots too
    const pattern = line
      .replace(/^!/, '')
      .replaceAll('.', '\\.')
      .replaceAll(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:.*/)?'));
    if (new RegExp(`^${pattern}(?:/|$)`).test(path)) reaches = line.startsWith('!');
  }
  return reaches;
}

/** Does what a COPY from the clone does. @param folder the stage's working directory */
export function copyInto(folder: string, instruction: Instruction): void {
  const { sources, target } = copied(instruction);
  for (const source of sources) {
    const files = globSync([source, `${source}/**/*`], { cwd: ROOT, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length).replace(/^\//, ''));
    for (const file of files.filter(reachesBuilder)) {
      const to = target === './' ? join(folder, file) : join(folder, target, file.slice(source.length));
      mkdirSync(dirname(to), { recursive: true });
      cpSync(join(ROOT, file), to);
    }
    if (!existsSync(join(ROOT, source))) throw new TypeError(`${source} is not in the clone`);
  }
}
