/**
 * What goes into an expression and what comes out of it. Plain JSON throughout: nothing else reaches Python, so nothing
 * of the server can (docs/architecture.md, decision 37). The Python side of it is described in
 * docs/reference/expressions.md.
 */

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A group as expressions see it. Everything here can end up in a claim: nothing secret belongs into it. */
export interface GroupFacts {
  /** also `uuid` and `group_uuid` in Python */
  pk: string;
  name: string;
  is_superuser: boolean;
  attributes: { readonly [name: string]: Json };
}

/** A person as expressions see it. */
export interface UserFacts {
  pk: number;
  uuid: string;
  /** the opaque identifier (`sub`), not a password hash */
  uid: string;
  username: string;
  name: string;
  email: string;
  is_active: boolean;
  is_superuser: boolean;
  /** internal, external, service_account ... */
  type: string;
  path: string;
  /** the person's own, without those of groups */
  attributes: { readonly [name: string]: Json };
  /** of groups and the person, merged as `user.group_attributes()` says */
  group_attributes: { readonly [name: string]: Json };
  /** the groups the person is a member of: `ak_groups`, `groups` */
  groups: readonly GroupFacts[];
  /** these and their ancestors: `all_groups()`, `ak_is_group_member` */
  all_groups: readonly GroupFacts[];
  /** of the application that is signed in to: `app_entitlements()` */
  entitlements?: readonly { readonly name: string; readonly attributes: { readonly [name: string]: Json } }[];
}

/** The harmless part of the request that led to the evaluation. */
export interface HttpRequestFacts {
  method: string;
  path: string;
  /** values of the query without secrets; the first of a name */
  query: { readonly [name: string]: string };
  /** never cookies and never `Authorization` */
  headers: { readonly [name: string]: string };
}

/** What an expression may see. */
export interface ExpressionContext {
  user: UserFacts;
  /** absent where nobody asked over HTTP */
  http_request?: HttpRequestFacts;
  /** address of the browser; absent: 255.255.255.255, as published */
  client_ip?: string;
  /** `request.context` and the variables of the same names (`:`, `.` and `-` become `_`) */
  context?: { readonly [name: string]: Json };
  /** attributes of `provider`, e.g. `pk, name, client_id, external_host` */
  provider?: { readonly [name: string]: Json };
  /** attributes of `token`, e.g. `scope, expires, is_expired`; never the token itself */
  token?: { readonly [name: string]: Json };
  /** attributes of `application` */
  application?: { readonly [name: string]: Json };
  /** attributes of `request.obj`: the mapping, the application */
  obj?: { readonly [name: string]: Json };
}

/** A question helpers ask the server while an expression runs. */
export interface ExpressionQuestion {
  kind: 'user_by';
  /** as written in Python, e.g. `{ username: 'anna' }`; unknown fields are answered with undefined */
  filters: { readonly [name: string]: Json };
}

export interface ExpressionCall {
  /** of the mapping: the name of `ak_logger`, and the name in messages */
  name: string;
  expression: string;
  context: ExpressionContext;
  /** answers a question asked during the call; without it, and when it throws, nobody is found */
  ask?: (question: ExpressionQuestion) => Promise<UserFacts | undefined>;
}

/** A line of `ak_logger`, `print` or of what went wrong on the way. */
export interface LogLine {
  level: 'debug' | 'info' | 'warning' | 'error';
  event: string;
  /** what was given beside the event, as text */
  fields: { readonly [name: string]: string };
}

/**
 * - `raised`: the expression raised an exception; `message` is its type and text, `line` the author's
 * - `time`, `memory`, `output`: it needed more than is allowed
 * - `result`: what it returned is not JSON, or too large
 * - `refused`: it does not compile, or uses what is refused by name
 * - `unavailable`: it did not run: too many wait, Python could not be started, or was ended under it. Worth another try
 */
export type ExpressionErrorKind = 'raised' | 'time' | 'memory' | 'output' | 'result' | 'refused' | 'unavailable';

interface Ran {
  log: readonly LogLine[];
  /** texts given to `ak_message` */
  messages: readonly string[];
  /** at work in Python, without waiting for its turn */
  milliseconds: number;
}

export type ExpressionResult =
  | (Ran & { ok: true; value: Json })
  | (Ran & { ok: false; error: { kind: ExpressionErrorKind; message: string; line?: number } });

/** Why an expression cannot be saved; line and column as editors count them, from 1, of the author's text. */
export interface ExpressionProblem {
  line: number;
  column: number;
  message: string;
}

/** Runs expressions, one after the other, in a process of its own that is started when the first one comes. */
export interface Expressions {
  /**
   * Compiles, and looks for names that are refused. undefined: nothing to say against it.
   * @throws CodedError `expressions-unavailable` (503) when Python cannot be started or has no time
   */
  check(expression: string): Promise<ExpressionProblem | undefined>;
  /** Runs one. Never rejects: whatever goes wrong is in the result. */
  evaluate(call: ExpressionCall): Promise<ExpressionResult>;
  /** Starts Python before somebody waits for it: only where there is an expression to run. */
  warm(): void;
  /** process id while Python runs, for tests and measurements */
  readonly pid: number | undefined;
  /** Ends the process; whoever waits is answered `unavailable`. */
  close(): Promise<void>;
}
