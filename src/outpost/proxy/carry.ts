import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { CodedError } from '../../contract/errors.ts';
import { atEndOfTurn } from '../end-of-turn.ts';
import { breakOff, dropRest, hasBody, limitSilence, ownLimits, writeHead, writeTrailers } from './client-side.ts';
import { sendEarlyHints } from './early-hints.ts';
import { dispatchJoined } from './joined-headers.ts';
import type { JoinedHeaders } from './joined-headers.ts';
import { requestHeaders } from './request-headers.ts';
import { responseHeaders, responseTrailers } from './response-headers.ts';
import { DEFAULT_LIMITS } from './target.ts';
import { upstreamError } from './upstream-error.ts';
import { UPSTREAM_RESET } from './upstreams.ts';
import type { CarryLimits, CarryOutcome, ProxyTarget } from './target.ts';

/**
 * Carries an allowed request to its application and the answer back. Bodies stream both ways, at the pace of the
 * slower side. A client that leaves cancels the request upstream; an upstream that breaks off mid-answer resets the
 * client's connection, so that half an answer never looks like a whole one.
 */
export function carry(req: IncomingMessage, res: ServerResponse, target: ProxyTarget): Carrier {
  return new Carrier(req, res, target, (failure) => target.onFailure(req, res, failure)).start(planFor(req, target));
}

/** How an allowed request is sent to its application. */
export const planFor = (req: IncomingMessage, target: ProxyTarget): Plan => ({
  dispatcher: target.upstream.dispatcher,
  path: target.upstream.basePath + target.rawTarget,
  requestHeaders: requestHeaders(req.rawHeaders, target),
  joined: target.identity.joined,
  responseHeaders: (raw, framed) => responseHeaders(raw, target, framed),
});

/** How one request is sent and its answer's headers are made. */
export interface Plan {
  dispatcher: Dispatcher;
  path: string;
  requestHeaders: string[];
  /** further ones, checked before */
  joined?: JoinedHeaders | undefined;
  responseHeaders: (raw: readonly string[], framed: boolean) => string[];
  /** for a request that asks to leave HTTP; `switched` gets the head of the 101, and throws when it is not to be */
  upgrade?: { protocols: string; switched: (raw: readonly string[], upstream: Socket) => void };
}

/** Safe to send again when a kept-alive connection turned out to be closed: without effect and without a body. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const CLOSED_CONNECTION: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', UPSTREAM_RESET, 'ECONNRESET', 'EPIPE']);

/** Bodies up to this size are written in one piece with their head; larger ones are not worth the copy. */
const ONE_WRITE = 16 * 1024;

/** One request on its way: undici's handler on one side, the client's response on the other. */
export class Carrier implements Dispatcher.DispatchHandler {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #limits: CarryLimits;
  #bytes = 0;
  readonly #onDone: ProxyTarget['onDone'];
  readonly #onWithdrawn: ProxyTarget['onWithdrawn'];
  readonly #fail: (error: CodedError) => void;
  readonly #started = performance.now();
  readonly #hasBody: boolean;
  #plan: Plan | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #repeated = false;
  #answered = false;
  /** the head was handed to the connection */
  #flushed = false;
  /** the part of the body that came with the head and waits with it */
  #first: Buffer | undefined;
  /** the whole answer is here */
  #ended = false;
  /** the application answered before it had the whole body: what still comes belongs to no request */
  #leftover = false;
  /** a limit was set on the client's connection */
  #limited = false;
  #done = false;

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    options: Pick<ProxyTarget, 'limits' | 'onDone' | 'onWithdrawn'>,
    fail: (error: CodedError) => void,
  ) {
    this.#req = req;
    this.#res = res;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#onDone = options.onDone;
    this.#onWithdrawn = options.onWithdrawn;
    this.#fail = fail;
    this.#hasBody = hasBody(req);
  }

  start(plan: Plan): this {
    this.#plan = plan;
    this.#res.on('close', this.#clientClosed);
    ownLimits(this.#res, 0);
    if (this.#hasBody) {
      this.#limit(this.#limits.clientSends);
      this.#req.once('end', () => this.#limit(0));
      // in HTTP/2 a body that is broken off ends like a whole one, and only this comes before its end
      this.#req.once('aborted', this.#clientClosed);
    }
    atEndOfTurn(() => this.#dispatch());
    return this;
  }

  /**
   * What was allowed is no longer. An answer that has not begun is another one then; of one that has, or whose request
   * is still being sent, the client sees that the rest is missing.
   */
  destroy(): void {
    if (this.#done) return;
    const pending = this.#answered || this.#res.headersSent || (this.#hasBody && !this.#req.complete);
    if (pending || this.#onWithdrawn === undefined) return breakOff(this.#res);
    this.#release();
    this.#controller?.abort(new Error('no longer allowed'));
    this.#onWithdrawn();
    this.#tell('withdrawn');
  }

  #dispatch(): void {
    if (this.#done) return; // the client left before
    const { dispatcher, path, requestHeaders: headers } = this.#plan!;
    try {
      dispatchJoined(
        dispatcher,
        {
          path,
          method: this.#req.method as Dispatcher.HttpMethod,
          headers,
          body: this.#hasBody ? this.#req : null,
          headersTimeout: this.#limits.upstreamAnswers,
          upgrade: this.#plan!.upgrade?.protocols ?? null,
        },
        this,
        this.#plan!.joined,
      );
    } catch (error) {
      this.#failed(error as Error); // a method or target that cannot be sent on
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#done) return controller.abort(new Error('the client is gone'));
    if (this.#hasBody && this.#req.headers.expect !== undefined && !this.#res.headersSent) {
      this.#res.writeContinue();
      this.#res.shouldKeepAlive = true; // see listener.ts: an answer without `continue` closes the connection
    }
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, message?: string): void {
    const res = this.#res;
    if (status < 200) return this.#informational(controller, status);
    this.#answered = true;
    const headers = this.#plan!.responseHeaders(rawText(controller.rawHeaders), status !== 204);
    writeHead(res, status, message ?? '', headers);
    atEndOfTurn(() => this.#flush());
  }

  /** Hands on what has come of the answer. An event stream is silent at first: its head does not wait for an event. */
  #flush(): void {
    if (this.#flushed || this.#res.destroyed) return;
    this.#flushed = true;
    const first = this.#first;
    this.#first = undefined;
    if (this.#ended) this.#end(first);
    else if (first === undefined) this.#res.flushHeaders();
    else this.#write(first);
  }

  /** The application agreed to leave HTTP: from here on both connections belong to whoever asked. */
  onRequestUpgrade(controller: Dispatcher.DispatchController, _: number, __: unknown, socket: Duplex): void {
    if (this.#done) return void socket.destroy();
    try {
      this.#plan?.upgrade?.switched(rawText(controller.rawHeaders), socket as Socket);
      this.#finish('complete');
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  /** 103 Early Hints is passed on, other interim answers mean nothing beyond this connection. */
  #informational(controller: Dispatcher.DispatchController, status: number): void {
    if (status !== 103 || this.#res.headersSent || this.#req.httpVersion === '1.0') return;
    const raw = rawText(controller.rawHeaders);
    sendEarlyHints(
      this.#res,
      raw.filter((_, i) => i % 2 === 1 && raw[i - 1]!.toLowerCase() === 'link'),
    );
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    this.#bytes += chunk.length;
    if (!this.#flushed && this.#first === undefined) {
      this.#first = chunk;
      return;
    }
    this.#flush();
    this.#write(chunk);
  }

  #write(chunk: Buffer): void {
    if (this.#res.write(chunk)) return;
    this.#controller?.pause();
    this.#res.once('drain', this.#drained);
    this.#limit(this.#limits.clientReceives);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#done) return;
    const res = this.#res;
    writeTrailers(res, responseTrailers(rawText(controller.rawTrailers)));
    this.#leftover = this.#hasBody && !this.#req.complete;
    this.#ended = true;
    this.#finish('complete');
    if (this.#flushed) this.#end(undefined);
  }

  #end(last: Buffer | undefined): void {
    const res = this.#res;
    if (this.#leftover) dropRest(res);
    // as text, head and body are one write; latin1 keeps every byte
    if (last !== undefined && last.length <= ONE_WRITE) res.end(last.toString('latin1'), 'latin1');
    else res.end(last);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#failed(error);
  }

  #failed(error: Error): void {
    if (this.#done) return;
    if (this.#mayRepeat(error)) {
      this.#repeated = true;
      return this.#dispatch();
    }
    this.#release();
    if (this.#answered || this.#res.headersSent) breakOff(this.#res, error);
    else {
      if (this.#hasBody && !this.#req.complete) this.#res.shouldKeepAlive = false;
      this.#fail(upstreamError(error));
    }
    this.#tell('upstream-failed'); // after the answer, whose status is noted
  }

  #mayRepeat(error: Error): boolean {
    if (this.#repeated || this.#answered || this.#hasBody) return false;
    return REPEATABLE.has(this.#req.method ?? '') && CLOSED_CONNECTION.has((error as NodeJS.ErrnoException).code ?? '');
  }

  readonly #drained = (): void => {
    if (this.#done) return;
    this.#limit(0);
    this.#controller?.resume();
  };

  /** How long the client may keep us waiting from now on, ms; 0 = it is not its turn. */
  #limit(ms: number): void {
    if (!this.#limited) this.#res.on('timeout', this.#stalled);
    this.#limited = true;
    limitSilence(this.#res, ms);
  }

  readonly #clientClosed = (): void => {
    if (this.#done) return;
    this.#finish('client-gone');
    this.#controller?.abort(new Error('the client is gone'));
  };

  /** The client neither sent nor took a byte for too long, while it was its turn. */
  readonly #stalled = (): void => {
    if (this.#done) return;
    const takes = this.#answered && this.#res.writableNeedDrain;
    const sends = this.#hasBody && !this.#req.complete && !this.#req.isPaused();
    if (takes || sends) breakOff(this.#res);
  };

  #finish(result: CarryOutcome['result']): void {
    this.#release();
    this.#tell(result);
  }

  #release(): void {
    this.#done = true;
    this.#res.off('close', this.#clientClosed);
    if (this.#limited) {
      this.#res.off('drain', this.#drained).off('timeout', this.#stalled);
      limitSilence(this.#res, 0);
    }
    ownLimits(this.#res, this.#limits.clientReceives);
  }

  #tell(result: CarryOutcome['result']): void {
    this.#onDone?.({ duration: performance.now() - this.#started, bytes: this.#bytes, result });
  }
}

function rawText(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
}
