/** The Lua of Envoy's configuration, in the Lua of HAProxy: Envoy itself is in no Debian package. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { STRIP_COOKIES_LUA, stripNamesLua } from '../src/commands/config/envoy-lua.ts';

/** As Envoy's: names are lower case, and nothing may be removed while all are listed. */
const HEADERS = `
local function headers_of(values)
  local listing = false
  local headers = {}
  function headers:get(name) return values[name] end
  function headers:add(name, value) assert(not listing and values[name] == nil); values[name] = value end
  function headers:replace(name, value) assert(not listing); values[name] = value end
  function headers:remove(name) assert(not listing); values[name] = nil end
  return setmetatable(headers, { __pairs = function()
    listing = true
    return function(_, key)
      local name, value = next(values, key)
      if name == nil then listing = false end
      return name, value
    end, values, nil
  end })
end
local values = { %VALUES% }
local headers = headers_of(values)
envoy_on_request({ headers = function() return headers end })
local names = {}
for name in pairs(values) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do print(name .. ": " .. values[name]) end
`;

/** Runs a script on a request. @returns the headers afterwards */
function after(script: readonly string[], headers: Record<string, string>): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-lua-'));
  try {
    const values = Object.entries(headers).map(
      ([name, value]) => `[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
    );
    const lua = join(folder, 'script.lua');
    writeFileSync(lua, `${script.join('\n')}\n${HEADERS.replace('%VALUES%', () => values.join(', '))}`);
    const configuration = join(folder, 'haproxy.cfg');
    writeFileSync(
      configuration,
      `global\n  lua-load ${lua}\nfrontend none\n  mode http\n  timeout client 1s\n  bind 127.0.0.1:1\n`,
    );
    const { status, stdout, stderr } = spawnSync('/usr/sbin/haproxy', ['-c', '-f', configuration], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const lines = stdout.split('\n').filter((line) => line.includes(': '));
    return Object.fromEntries(lines.map((line) => line.split(': ', 2) as [string, string]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("the scripts in Envoy's configuration", () => {
  it('remove every spelling of our names, and other names of the address', () => {
    const kept = { ':authority': 'app.company', accept: '*/*', 'x-my-authentik-thing': '1', cookie: 'a=1' };
    const forged = {
      ...{
        'x-authentik-username': 'admin',
        'x.authentik.groups': 'admins',
        'x-authentik~jwt': 'x',
        'x-gatehouse-peer': '1',
      },
      ...{
        'x-forwarded-user': 'admin',
        'x-original-url': '/admin',
        'x-forwarded-host': 'evil.test',
        'x-forwarded-uri': '/',
      },
    };
    assert.deepEqual(after(stripNamesLua([]), { ...kept, ...forged }), { ...kept, 'x-forwarded-host': 'app.company' });
  });

  it('remove every spelling of the headers a provider sends', () => {
    const forged = { 'remote-user': 'admin', remote_user: 'admin', 'x.webauth-user': 'admin', 'remote-users': 'kept' };
    const script = stripNamesLua(['Remote-User', 'X-Webauth-User']);
    assert.deepEqual(after(script, { ':authority': 'app.company', ...forged }), {
      ':authority': 'app.company',
      'remote-users': 'kept',
      'x-forwarded-host': 'app.company',
    });
  });

  it('take our cookies out, and no others', () => {
    const cookie = 'a=1; authentik_proxy_0a1b=x; b=c=d; Authentik_Session=y;authentik_csrf=z; authentik_other=2';
    assert.deepEqual(after(STRIP_COOKIES_LUA, { cookie, x: 'y' }), { cookie: 'a=1; b=c=d; authentik_other=2', x: 'y' });
    assert.deepEqual(after(STRIP_COOKIES_LUA, { cookie: 'authentik_proxy_0=x', x: 'y' }), { x: 'y' });
    assert.deepEqual(after(STRIP_COOKIES_LUA, { x: 'y' }), { x: 'y' });
  });
});
