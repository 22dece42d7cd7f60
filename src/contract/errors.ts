/**
 * The error family for everything that comes from outside: configuration, requests, other servers.
 * Wrong use of our own code throws `TypeError` instead.
 */
export class CodedError extends Error {
  /** stable, kebab-case, searchable in the docs */
  readonly code: string;
  /** HTTP status this error answers with */
  readonly status: number;
  /** for logs only: may name internals, never secrets */
  readonly detail: string | undefined;

  /** @param publicText one sentence a person may read: what happened and what to do */
  constructor(code: string, status: number, publicText: string, detail?: string) {
    super(publicText);
    this.name = 'CodedError';
    this.code = code;
    this.status = status;
    this.detail = detail;
  }
}

/** Several problems of one input, reported together; keys are field names. */
export class InvalidInput extends CodedError {
  readonly fields: Readonly<Record<string, readonly string[]>>;

  constructor(fields: Readonly<Record<string, readonly string[]>>) {
    super(
      'invalid-input',
      400,
      Object.entries(fields)
        .map(([f, m]) => `${f}: ${m.join(' ')}`)
        .join('\n'),
    );
    this.name = 'InvalidInput';
    this.fields = fields;
  }
}
