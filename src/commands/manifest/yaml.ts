/**
 * Writes YAML (1.2, block style) of plain data. Every text that could be read as anything else is quoted, with JSON's
 * escapes where it needs any, which YAML's double quotes share: whatever stands in it stays text (security rule K).
 */

export type Yaml = string | number | boolean | null | Comment | readonly Yaml[] | YamlObject;
export interface YamlObject {
  readonly [key: string]: Yaml | undefined;
}

/** As a value of an object, under a key of its own: lines of a comment in place of the entry. */
export class Comment {
  readonly lines: readonly string[];

  /** @param lines ours, or reduced (`forComment`): nothing in them is escaped */
  constructor(...lines: string[]) {
    this.lines = lines;
  }
}

/** Text without quotes: a word that no reading of YAML, the older ones included, takes for another kind of value. */
const PLAIN = /^[A-Za-z/][A-Za-z0-9_./-]*$/;
const NOT_PLAIN = /^(?:true|false|yes|no|on|off|y|n|null|nan|inf)$/i;

/** Between single quotes nothing has a meaning but they themselves. */
const PRINTED = /^[ -&(-~]*$/;

function text(value: string): string {
  if (PLAIN.test(value) && !NOT_PLAIN.test(value)) return value;
  if (PRINTED.test(value)) return `'${value}'`;
  // beyond ASCII as well: there are line ends and invisible characters among those that JSON leaves as they are
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * @param value entries that are undefined are left out
 * @returns a document without its separator, ends with a line end
 */
export const yaml = (value: YamlObject): string => `${object(value).join('\n')}\n`;

/** Several documents in one file. */
export const documents = (values: readonly YamlObject[]): string => values.map(yaml).join('---\n');

function object(value: YamlObject): string[] {
  return Object.entries(value).flatMap(([key, entry]) => {
    if (entry === undefined) return [];
    if (entry instanceof Comment) return entry.lines.map((line) => `# ${line}`.trimEnd());
    const lines = written(entry);
    return typeof lines === 'string'
      ? [`${text(key)}: ${lines}`]
      : [`${text(key)}:`, ...lines.map((line) => `  ${line}`)];
  });
}

function item(entry: Yaml): string[] {
  const lines = written(entry);
  return typeof lines === 'string' ? [`- ${lines}`] : lines.map((line, i) => `${i === 0 ? '- ' : '  '}${line}`);
}

/** A value that fits on one line, or the lines of one that does not. */
function written(entry: Yaml): string | string[] {
  if (typeof entry === 'string') return text(entry);
  if (entry === null || typeof entry !== 'object') return String(entry);
  if (entry instanceof Comment) throw new TypeError('a comment is an entry of an object');
  if (isList(entry)) return entry.length === 0 ? '[]' : entry.flatMap(item);
  const lines = object(entry);
  return lines.length === 0 ? '{}' : lines;
}

const isList = (entry: readonly Yaml[] | YamlObject): entry is readonly Yaml[] => Array.isArray(entry);
