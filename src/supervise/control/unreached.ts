/** Why an identity server cannot be asked, in a sentence that says what to do. */
import { CodedError } from '../../contract/errors.ts';
import { UnexpectedAnswer } from '../back-channel.ts';
import type { BackChannelOptions } from '../messages.ts';

const HOST = 'AUTHENTIK_HOST';
const TOKEN = 'AUTHENTIK_TOKEN';
const INSECURE = 'AUTHENTIK_INSECURE';

/**
 * @param error of a call: of the network, an answer that was none, or ours
 * @returns one or two sentences without secrets
 */
export function explainUnreached(error: unknown, server: Pick<BackChannelOptions, 'base'>): string {
  const { origin, host, hostname, protocol, pathname } = new URL(server.base);
  const base = origin + pathname;
  if (error instanceof UnexpectedAnswer) return explainAnswer(error, base);
  if (error instanceof CodedError) return isOtherJson(error) ? notTheServer(base) : error.message;
  if (error instanceof SyntaxError) return notTheServer(base);
  const code = codeOf(error);
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
      return `The name ${hostname} cannot be resolved. Correct ${HOST}, or the name service of this machine.`;
    case 'ECONNREFUSED':
      return `Nothing listens at ${host}. Start the identity server, or correct ${HOST}.`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `There is no way from this machine to ${host}. Look at the network, or correct ${HOST}.`;
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
    case 'TimeoutError':
      return `${host} does not answer in time. Look at the identity server, and at firewalls on the way; or correct ${HOST}.`;
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return `The certificate of ${host} is not valid now. Renew it, or look at this machine's clock.`;
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `The certificate of ${host} is made out for another name. Write the name it holds in ${HOST}, or give the server one for ${hostname}.`;
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'EPROTO':
      return `${host} does not speak TLS. Begin ${HOST} with http://, or name the port for https.`;
    default:
      if (isUntrusted(code)) {
        return (
          `The certificate of ${host} is from an authority this machine does not trust. Name the authority's file in ` +
          `NODE_EXTRA_CA_CERTS; or, where nobody can be in between, set ${INSECURE}=true.`
        );
      }
      if (protocol === 'http:' && (code.startsWith('HPE_') || code === 'UND_ERR_SOCKET' || code === 'ECONNRESET')) {
        return `${host} ends connections without an answer over HTTP. Perhaps ${HOST} has to begin with https://.`;
      }
      return `The identity server at ${base} cannot be asked (${code}). Look at it, or correct ${HOST}.`;
  }
}

/**
 * The same of the control link.
 * @param error of a WebSocket that was never open
 * @param answers calls are answered at the same address
 */
export function explainNoLink(error: Error, server: Pick<BackChannelOptions, 'base'>, answers = false): string {
  const [, answered] = /^Unexpected server response: (\d{3})$/.exec(error.message) ?? [];
  const status = Number(answered);
  if (answered === undefined && (!answers || codeOf(error) === 'ECONNREFUSED')) return explainUnreached(error, server);
  if ([401, 403, 502, 503, 504].includes(status))
    return explainUnreached(new UnexpectedAnswer('control link', status), server);
  const { host } = new URL(server.base);
  return (
    `${host} answers, but lets no WebSocket through${answered === undefined ? '' : ` (${status})`}. Let the reverse proxy in front of the identity server pass ` +
    'on Upgrade and Connection, with HTTP/1.1.'
  );
}

function explainAnswer({ status, location }: UnexpectedAnswer, base: string): string {
  if (status === 401 || status === 403) {
    return `The identity server at ${base} refuses the token. Copy the outpost's token anew into ${TOKEN}.`;
  }
  if (status >= 300 && status < 400) {
    return `${base} leads elsewhere${location === undefined ? '' : ` (${location})`}. Write the identity server's own address in ${HOST}.`;
  }
  if (status === 404 || status === 405) return notTheServer(base);
  if (status === 502 || status === 503 || status === 504) {
    return `The identity server behind ${base} is starting or away: ${status} is answered in its place.`;
  }
  return `The identity server at ${base} answers ${status}. Its log says why.`;
}

const notTheServer = (base: string) =>
  `What answers at ${base} is not the interface of an identity server. Correct ${HOST}; a path such as /auth/ belongs to it.`;

/** No list at all; what is wrong within a list has a detail. */
const isOtherJson = ({ code, detail }: CodedError) => code === 'server-answer' && detail === undefined;

/** What OpenSSL says of chains it cannot follow to an authority. */
const isUntrusted = (code: string) =>
  /SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_UNTRUSTED|CERT_REJECTED|INVALID_CA/.test(code);

/** The code of whatever lies innermost: fetch wraps what happened, and several addresses make an AggregateError. */
function codeOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; depth < 5 && typeof at === 'object' && at !== null; depth += 1) {
    const { code, cause, errors, name } = at as { code?: unknown; cause?: unknown; errors?: unknown; name?: unknown };
    if (typeof code === 'string') return code;
    if (name === 'TimeoutError') return name;
    at = cause ?? (Array.isArray(errors) ? (errors as unknown[])[0] : undefined);
  }
  return error instanceof Error ? error.name : 'unknown';
}
