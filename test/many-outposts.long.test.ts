import { manyOutposts } from './many-outposts.test-helper.ts';

manyOutposts({ logins: 1_000, requests: 100_000, awayMs: 5_000, timeoutMs: 3_600_000 });
