import { manyOutposts } from './many-outposts.test-helper.ts';

manyOutposts({ logins: 16, requests: 2_000, awayMs: 1_000, timeoutMs: 480_000 });
