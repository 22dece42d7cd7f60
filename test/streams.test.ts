import { testStreams } from './streams.test-helper.ts';

testStreams(20);
