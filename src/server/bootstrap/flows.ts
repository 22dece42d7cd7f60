/** The built-in flows (spec/server.md 11.1). Their identifiers persist: providers and Terraform refer to them. */
import { randomUUID } from 'node:crypto';
import type { Db } from '../storage/database.ts';

interface BuiltInFlow {
  slug: string;
  name: string;
  title: string;
  designation: 'authentication' | 'authorization' | 'invalidation' | 'stage_configuration';
  authentication: 'none' | 'require_authenticated' | 'require_superuser';
}

export const BUILT_IN_FLOWS: readonly BuiltInFlow[] = [
  {
    slug: 'default-authentication-flow',
    name: 'Welcome to Gatehouse',
    title: 'Sign in',
    designation: 'authentication',
    authentication: 'none',
  },
  {
    slug: 'default-provider-authorization-implicit-consent',
    name: 'Authorize Application',
    title: 'Redirecting to %(app)s',
    designation: 'authorization',
    authentication: 'require_authenticated',
  },
  {
    slug: 'default-provider-authorization-explicit-consent',
    name: 'Authorize Application with consent',
    title: 'Redirecting to %(app)s',
    designation: 'authorization',
    authentication: 'require_authenticated',
  },
  {
    slug: 'default-invalidation-flow',
    name: 'Logout',
    title: 'Sign out',
    designation: 'invalidation',
    authentication: 'none',
  },
  {
    slug: 'default-provider-invalidation-flow',
    name: 'Logged out of application',
    title: 'You have signed out of %(app)s',
    designation: 'invalidation',
    authentication: 'none',
  },
  {
    slug: 'initial-setup',
    name: 'First set-up',
    title: 'Welcome to Gatehouse',
    designation: 'stage_configuration',
    authentication: 'none',
  },
];

/** Adds flows that are not there yet. */
export async function ensureFlows(db: Db): Promise<void> {
  for (const flow of BUILT_IN_FLOWS) {
    await db
      .insertInto('flow')
      .values({ uuid: randomUUID(), ...flow })
      .onConflict((c) => c.column('slug').doNothing())
      .execute();
  }
}
