/** Time from the command to the first answer, with existing data and the built files. */
import { median } from './lib/load.ts';
import type { Section } from './lib/row.ts';

const BUDGET_MS = 1500;

export const startTimes: Section = async (product, { rounds }) => {
  await product.start(undefined, '0,1');
  await product.stop();
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    product.launch(undefined, '0,1');
    times.push(await product.answers());
    await product.stop();
  }
  return [
    {
      what: 'start of everything to the first ready answer, existing data',
      budget: `<= ${BUDGET_MS} ms`,
      measured: `${Math.round(median(times))} ms`,
      spread: `${Math.round(Math.min(...times))} to ${Math.round(Math.max(...times))} ms`,
      kept: median(times) <= BUDGET_MS,
    },
  ];
};
