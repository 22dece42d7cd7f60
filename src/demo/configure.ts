/** Sets the demo up over the REST API. Everything is looked for first, so that it can run at every start. */
import { EMBEDDED_OUTPOST_MANAGED } from '../contract/api.ts';
import { CodedError } from '../contract/errors.ts';
import type { Api, Json } from './api.ts';

export const GROUP = 'Wiki readers';
const PEOPLE = [
  { username: 'alice', name: 'Alice Archer', email: 'alice@example.test', reader: true },
  { username: 'bob', name: 'Bob Baker', email: 'bob@example.test', reader: false },
] as const;
export type Username = (typeof PEOPLE)[number]['username'];

export interface DemoPlan {
  /** where the sample application listens */
  internalHost: string;
  externalHosts: { demo: string; wiki: string };
  passwords: Readonly<Record<Username, string>>;
  /** the passwords are new: set them also for people who exist */
  newPasswords: boolean;
}

/** Makes people, group, providers and applications, and gives the providers to the embedded outpost. */
export async function configureDemo(api: Api, plan: DemoPlan): Promise<void> {
  const group = await ensure(
    api,
    `core/groups/?name=${encodeURIComponent(GROUP)}`,
    'core/groups/',
    { name: GROUP },
    'name',
  );
  for (const person of PEOPLE) await ensurePerson(api, person, plan, String(group.object['pk']));

  const demo = await ensureApplication(api, 'Demo', 'demo', plan.externalHosts.demo, plan.internalHost);
  const wiki = await ensureApplication(api, 'Wiki', 'wiki', plan.externalHosts.wiki, plan.internalHost);
  await ensureBinding(api, String(wiki.application['pk']), String(group.object['pk']));
  await assign(api, [demo.provider, wiki.provider]);
}

/** Finds the object whose `key` is that of the wanted one, or makes it. */
async function ensure(api: Api, list: string, create: string, wanted: Json, key: string) {
  const found = await api.find(list, (entry) => entry[key] === wanted[key]);
  return found === undefined ? { object: await api.post(create, wanted), made: true } : { object: found, made: false };
}

async function ensurePerson(api: Api, person: (typeof PEOPLE)[number], plan: DemoPlan, group: string): Promise<void> {
  const { username, name, email } = person;
  const { object, made } = await ensure(
    api,
    `core/users/?username=${username}`,
    'core/users/',
    { username, name, email },
    'username',
  );
  const pk = Number(object['pk']);
  if (made || plan.newPasswords)
    await api.post(`core/users/${pk}/set_password/`, { password: plan.passwords[username] });
  // Membership is given once: whoever plays with it finds it as they left it.
  if (made && person.reader) await api.post(`core/groups/${group}/add_user/`, { pk });
}

async function ensureApplication(api: Api, name: string, slug: string, externalHost: string, internalHost: string) {
  const hosts = { mode: 'proxy', external_host: externalHost, internal_host: internalHost };
  const list = `providers/proxy/?name__iexact=${name}`;
  const found = await api.find(list, (entry) => entry['name'] === name);
  const current = found?.['external_host'] === externalHost && found['internal_host'] === internalHost;
  const provider =
    found === undefined
      ? await api.post('providers/proxy/', { name, ...hosts, ...(await flows(api)) })
      : current
        ? found
        : await api.patch(`providers/proxy/${Number(found['pk'])}/`, hosts);
  const pk = Number(provider['pk']);
  const application = await ensure(
    api,
    `core/applications/?search=${slug}`,
    'core/applications/',
    { name, slug, provider: pk },
    'slug',
  );
  return { provider: pk, application: application.object };
}

async function flows(api: Api): Promise<Json> {
  const flow = async (slug: string) => {
    const found = await api.find(`flows/instances/?slug=${slug}`, (entry) => entry['slug'] === slug);
    if (found === undefined)
      throw new CodedError('demo-not-configured', 500, `The demo could not be set up: flow ${slug} is missing.`);
    return found['pk'];
  };
  return {
    authorization_flow: await flow('default-provider-authorization-implicit-consent'),
    invalidation_flow: await flow('default-provider-invalidation-flow'),
  };
}

async function ensureBinding(api: Api, target: string, group: string): Promise<void> {
  const bound = await api.find(`policies/bindings/?target=${target}`, (entry) => entry['group'] === group);
  if (bound === undefined) await api.post('policies/bindings/', { target, group, order: 0 });
}

async function assign(api: Api, providers: readonly number[]): Promise<void> {
  const list = `outposts/instances/?managed__iexact=${encodeURIComponent(EMBEDDED_OUTPOST_MANAGED)}`;
  const outpost = await api.find(list, (entry) => entry['managed'] === EMBEDDED_OUTPOST_MANAGED);
  if (outpost === undefined) {
    throw new CodedError(
      'demo-not-configured',
      500,
      'The demo needs the embedded outpost, which is switched off (OUTPOSTS__DISABLE_EMBEDDED_OUTPOST).',
    );
  }
  const assigned = outpost['providers'] as number[];
  const missing = providers.filter((provider) => !assigned.includes(provider));
  if (missing.length > 0)
    await api.patch(`outposts/instances/${String(outpost['pk'])}/`, { providers: [...assigned, ...missing] });
}
