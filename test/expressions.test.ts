/** Scope mappings that administrators write in Python: from the API to what an application receives. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Json } from './harness/api.ts';
import { trace } from './harness/client.ts';
import type { Client, Page } from './harness/client.ts';
import { EchoUpstream } from './harness/echo-upstream.ts';
import { childrenOf, partsOf } from './harness/processes.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, isAlive } from './harness/wait.ts';

/** As published, in two generations of the manual. */
const OLDER = `return {
"ak_proxy": {
"backend_override": f"http://foo.bar.baz/{request.user.username}"
}
}`;
const NEWER = `return {
    "ak_proxy": {
        "backend_override": f"http://foo.bar.baz/{request.user.username}"
    }
}`;

const SCOPES = 'propertymappings/provider/scope/';
/** So long may a slow machine take for what takes a fraction of a second. */
const PATIENCE_MS = 60_000;

const received = (page: Page) => JSON.parse(page.text) as Received;
const headerOf = (page: Page, name: string) => valuesOf(received(page).rawHeaders, name).join();

for (const workers of [1, 0]) {
  describe(`expressions, ${workers === 0 ? 'everything in one process' : 'with processes'}`, () => {
    let scene: Scene;
    let other: EchoUpstream;
    let gina: Person;
    let python: number[] = [];
    const api = () => scene.gatehouse.api;

    before(async () => {
      scene = await Scene.start({ gatehouse: { workers } });
      other = await EchoUpstream.start();
      gina = await scene.provision.user('gina', {
        attributes: { shoe_size: 41, floor: 'own', additionalHeaders: { 'X-Desk': 'own' } },
      });
      const attributes = { floor: 'group', room: 'group', additionalHeaders: { 'x-desk': 'group', 'X-Room': 'group' } };
      await scene.provision.group('writers', [gina.pk], { attributes });
    });
    after(async () => {
      await other?.stop();
      await scene?.stop();
      await eventually('Python ended with the server', PATIENCE_MS, () => {
        assert.deepEqual(python.filter(isAlive), []);
      });
    });
    afterEach((t) => scene.explain(t));

    const mapping = async (scope_name: string, expression: string): Promise<string> => {
      const made = await api().post(SCOPES, { name: `${scope_name} of this test`, scope_name, expression });
      assert.equal(made['expression'], expression, 'it is kept word for word');
      return String(made['pk']);
    };

    /**
     * Somebody signs in there; again, when the machine stood still for longer than an expression may take.
     * @param check of the first page
     */
    const enter = async (slug: string, check: (page: Page) => void): Promise<Client> => {
      const { value } = await eventually(`sign-in at ${slug}`, PATIENCE_MS, async () => {
        const client = scene.visitor();
        check(await client.enter(`${scene.address(slug)}/`, gina.username, gina.password));
        return client;
      });
      return value;
    };

    let passwords = 0;
    /** What a token of this application says, for a program that signs in as gina. */
    const claims = async (client_id: string): Promise<Json> => {
      const password = await scene.provision.appPassword(gina.pk, `gina-${client_id}-${++passwords}`);
      const answer = await fetch(`${scene.gatehouse.server}/application/o/token/`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id,
          username: gina.username,
          password,
          scope: 'openid profile email entitlements backend',
        }),
      });
      const { access_token } = (await answer.json()) as { access_token: string };
      return JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()) as Json;
    };

    it('start Python with the first mapping that is written', async () => {
      const { pid } = scene.gatehouse;
      const server = workers === 0 ? pid : partsOf(pid).find(({ part }) => part === 'control-plane')?.pid;
      assert.ok(server !== undefined);
      await scene.application('plain');
      await enter('plain', (page) => assert.equal(page.status, 200, trace(page)));
      assert.deepEqual(childrenOf(server), [], 'nothing is started for built-in ones');
      await mapping('first', 'return {}');
      python = childrenOf(server);
      assert.ok(python.length > 0);
    });

    it('take the published examples word for word', async () => {
      for (const [slug, expression] of [
        ['older', OLDER],
        ['newer', NEWER],
      ] as const) {
        const pk = await mapping('backend', expression);
        const { provider } = await scene.application(slug, { provider: { property_mappings: [pk] } });
        const { client_id } = await api().get(`providers/proxy/${provider}/`);
        await eventually('the claim', PATIENCE_MS, async () => {
          const { ak_proxy } = await claims(String(client_id));
          assert.deepEqual(ak_proxy, { backend_override: 'http://foo.bar.baz/gina' });
          const tried = await api().post(`${SCOPES}${pk}/test/`, { user: gina.pk });
          assert.deepEqual(
            [tried['result'], tried['successful']],
            ['{"ak_proxy":{"backend_override":"http://foo.bar.baz/gina"}}', true],
          );
        });
        // That host is not allowed here: nobody is led to another backend instead
        await enter(slug, (page) => assert.equal(page.status, 502, trace(page)));
        await api().patch(`${SCOPES}${pk}/`, { name: `${slug} is done` });
      }
    });

    it('give in Python what the built-in ones, whose text is shown, give', async () => {
      const { provider } = await scene.application('same');
      const { client_id } = await api().get(`providers/proxy/${provider}/`);
      const told = await claims(String(client_id));
      for (const scope of ['profile', 'email', 'entitlements']) {
        const { pk } = await api().first(`${SCOPES}?managed__isnull=false&scope_name=${scope}`);
        await eventually(scope, PATIENCE_MS, async () => {
          const tried = await api().post(`${SCOPES}${String(pk)}/test/`, { user: gina.pk, provider });
          assert.equal(tried['successful'], true, JSON.stringify(tried));
          const given = JSON.parse(String(tried['result'])) as Json;
          assert.ok(Object.keys(given).length > 1);
          for (const [name, value] of Object.entries(given)) assert.deepEqual(told[name], value, name);
        });
      }
    });

    it('lead to a backend, with its path, and name the Host it sees', async () => {
      const expression = `return {
    "ak_proxy": {
        "backend_override": f"${other.origin}/{request.user.username}",
        "host_header": "inner.test"
    }
}`;
      const pk = await mapping('lead', expression);
      await scene.application('lead', {
        provider: { property_mappings: [pk] },
        gatehouse: { backend_hosts: [new URL(other.origin).host] },
      });
      const client = await enter('lead', (page) => {
        assert.equal(page.status, 200, trace(page));
        assert.equal(received(page).url, '/gina/');
        assert.equal(headerOf(page, 'host'), 'inner.test');
      });
      assert.equal(received(await client.open(`${scene.address('lead')}/x?y=1`)).url, '/gina/x?y=1');
      assert.equal(
        scene.upstream.received.some(({ url }) => url === '/x?y=1'),
        false,
      );
    });

    it('give claims for headers and attributes for credentials, in the published order', async () => {
      const claim = await mapping(
        'shoes',
        `return {
    "shoe_size": user.attributes.get("shoe_size"),
    "merged_floor": user.group_attributes().get("floor"),
    "merged_room": user.group_attributes(request).get("room"),
    "colours": ["red", "blue"],
    "writes": ak_is_group_member(user, name="writers"),
}`,
      );
      const attributes = await mapping(
        'zz_attributes',
        `return {
    "ak_proxy": {
        "user_attributes": {
            "app_user": slugify(f"App {user.username}"),
            "app_password": "from-" + user.uid[:4],
            "additionalHeaders": {"X-Room": "mapping", "X-Tier": "gold"},
        }
    }
}`,
      );
      await scene.application('claims', {
        gatehouse: {
          header_presets: ['remote'],
          header_claims: [
            { name: 'X-Shoes', claim: 'shoe_size' },
            { name: 'X-Floor', claim: 'merged_floor' },
            { name: 'X-Merged-Room', claim: 'merged_room' },
            { name: 'Remote-Name', claim: 'colours' },
            { name: 'X-Writes', claim: 'writes' },
          ],
        },
        provider: {
          property_mappings: [claim, attributes],
          basic_auth_enabled: true,
          basic_auth_user_attribute: 'app_user',
          basic_auth_password_attribute: 'app_password',
          skip_path_regex: '^/public/',
        },
      });
      const basic = Buffer.from(`app-gina:from-${gina.uid.slice(0, 4)}`).toString('base64');
      const client = await enter('claims', (page) => {
        assert.equal(page.status, 200, trace(page));
        for (const [name, value] of Object.entries({
          'x-shoes': '41',
          'x-floor': 'own', // the person before their groups
          'x-merged-room': 'group',
          'remote-user': 'gina',
          'remote-name': 'red|blue', // a name of one's own in place of the preset's
          'x-writes': 'true',
          'x-desk': 'own', // again, in whatever spelling
          'x-room': 'mapping', // a mapping before both
          'x-tier': 'gold',
          authorization: `Basic ${basic}`,
        })) {
          assert.equal(headerOf(page, name), value, name);
        }
        const token = headerOf(page, 'x-authentik-jwt').split('.')[1] ?? '';
        const inside = Buffer.from(token, 'base64url').toString();
        assert.match(inside, /"shoe_size":41/);
        assert.doesNotMatch(inside, /gold|from-|mapping|X-Desk/, 'what is for headers is not in the token');
      });
      // names that only a mapping gives are nobody's to send
      const forged = { 'x-tier': 'forged', x_tier: 'forged', 'X-Room': 'forged' };
      for (const browser of [client, scene.visitor()]) {
        const answer = await browser.background('GET', `${scene.address('claims')}/public/x`, { headers: forged });
        assert.equal(answer.status, 200, answer.text);
        assert.ok(!received(answer).rawHeaders.includes('forged'), answer.text);
      }
    });

    it('that fail stop no login, and write what happened', async () => {
      const broken = await mapping('broken', 'return {"x": user.attributes["shoe_sise"] + 1}');
      const fine = await mapping('fine', 'return {"fine": "yes"}');
      await scene.application('failing', {
        gatehouse: { header_claims: [{ name: 'X-Fine', claim: 'fine' }] },
        provider: { property_mappings: [broken, fine] },
      });
      await enter('failing', (page) => {
        assert.equal(page.status, 200, trace(page));
        assert.equal(headerOf(page, 'x-fine'), 'yes');
      });
      const seen = async (action: string) => {
        const told = JSON.stringify(await api().list(`events/events/?action=${action}&search=broken`));
        assert.match(told, /broken of this test was left out, line 1: KeyError: 'shoe_sise'/);
      };
      await eventually('the events', PATIENCE_MS, async () => {
        // Python may have taken too long the time before, which is another problem
        await enter('failing', () => undefined);
        await seen('configuration_error');
        await seen('property_mapping_exception');
      });
    });

    it('reach people who are signed in as soon as they are changed, attached or deleted', async (t) => {
      let count = 0;
      // from the beginning when the machine stood still: what a mapping took too long for is left out
      await eventually('all changes', 3 * PATIENCE_MS, async () => {
        const pk = await mapping(`mood${++count}`, 'return {"mood": "first"}');
        const slug = `mood${count}`;
        const { provider } = await scene.application(slug, {
          gatehouse: { header_claims: [{ name: 'X-Mood', claim: 'mood' }] },
          provider: { property_mappings: [pk] },
        });
        const client = await enter(slug, (page) => assert.equal(headerOf(page, 'x-mood'), 'first', trace(page)));
        const sees = async (value: string) => {
          const { ms } = await eventually(`X-Mood ${value}`, PATIENCE_MS / 3, async () => {
            const next = await client.open(`${scene.address(slug)}/`);
            assert.equal(next.status, 200, trace(next));
            assert.equal(headerOf(next, 'x-mood'), value);
          });
          t.diagnostic(`${value === '' ? 'nothing' : value}: ${ms} ms`);
        };
        await api().patch(`${SCOPES}${pk}/`, { expression: 'return {"mood": f"second {user.name}"}' });
        await sees('second Gina Example');
        await api().patch(`${SCOPES}${pk}/`, { scope_name: 'moved' });
        await sees('second Gina Example');
        const more = await mapping(`zz_mood${count}`, 'return {"mood": "third"}');
        const now = (await api().get(`providers/proxy/${provider}/`))['property_mappings'] as string[];
        const internal_host = scene.upstream.origin;
        await api().patch(`providers/proxy/${provider}/`, { internal_host, property_mappings: [...now, more] });
        await sees('third');
        await api().delete(`${SCOPES}${more}/`);
        await sees('second Gina Example');
        await api().delete(`${SCOPES}${pk}/`);
        await sees('');
      });
    });

    it('are refused with line and column, or by name', async () => {
      const save = async (expression: string) => {
        const { value } = await eventually('a refusal', PATIENCE_MS, async () => {
          const answer = await api().raw('POST', SCOPES, { name: 'refused', scope_name: 'refused', expression });
          assert.equal(answer.status, 400, answer.text);
          return (JSON.parse(answer.text) as { expression: string[] }).expression.join();
        });
        return value;
      };
      assert.match(await save('x = 1\nreturn {"a": (}'), /^Line 2, column \d+: /);
      assert.match(await save('\n\nreturn requests.get("http://127.0.0.1/")'), /^Line 3, column 8: .*requests/);
    });
  });
}
