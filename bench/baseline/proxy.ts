/**
 * The fixed baseline of proxy mode: node:http in front, undici behind, nothing in between. It hands on the request's
 * headers as they are, as the least proxy does; in place of the cookie the tested one sends identity headers of its size.
 * argv: port, origin of the upstream.
 */
import { createServer } from 'node:http';
import { Pool } from 'undici';

const pool = new Pool(process.argv[3] ?? '', { connections: 64 });

createServer((req, res) => {
  pool.dispatch(
    { method: (req.method ?? 'GET') as 'GET', path: req.url ?? '/', headers: req.rawHeaders, body: null },
    {
      onRequestStart: () => {},
      onResponseStart: (_controller, status, headers) => {
        res.writeHead(status, headers as Record<string, string | string[]>);
      },
      onResponseData: (_controller, chunk) => {
        res.write(chunk);
      },
      onResponseEnd: () => {
        res.end();
      },
      onResponseError: () => {
        res.destroy();
      },
    },
  );
}).listen(Number(process.argv[2]), '127.0.0.1');
