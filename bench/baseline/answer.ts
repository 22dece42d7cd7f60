/**
 * The fixed baseline of the forward-auth check: a bare node:http handler that writes the same headers.
 * argv: port; environment BENCH_HEADERS: JSON array of names and values, flat.
 */
import { createServer } from 'node:http';

const headers = JSON.parse(process.env['BENCH_HEADERS'] ?? '[]') as string[];

createServer((_req, res) => {
  res.writeHead(200, headers);
  res.end();
}).listen(Number(process.argv[2]), '127.0.0.1');
