import type { Product } from './product.ts';

/** One line of the table. */
export interface Row {
  what: string;
  budget: string;
  measured: string;
  spread: string;
  kept: boolean;
}

export interface Effort {
  rounds: number;
  seconds: number;
}

export type Section = (product: Product, effort: Effort) => Promise<Row[]>;
