/** The reverse proxies `gatehouse config` writes for. */
import { nginx } from './nginx.ts';
import type { ConfigValues } from './values.ts';

export const TARGETS = { nginx } as const satisfies Readonly<Record<string, (values: ConfigValues) => string>>;

export type Target = keyof typeof TARGETS;

export const isTarget = (name: string): name is Target => Object.hasOwn(TARGETS, name);
