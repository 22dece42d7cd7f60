/** The two scripts inside Envoy's configuration. They keep to what Lua 5.1 and later have in common. */

/**
 * Removes every header that, with other characters than letters and digits taken as `-`, has a name of ours, or names
 * another address than the one asked for.
 * @param headers further ones the provider sends: letters, digits and `-`
 */
export const stripNamesLua = (headers: readonly string[]): readonly string[] => [
  'local removed = {',
  '  ["x-auth-username"] = true, ["x-auth-groups"] = true, ["x-forwarded-email"] = true,',
  '  ["x-forwarded-preferred-username"] = true, ["x-forwarded-user"] = true,',
  '  ["x-original-url"] = true, ["x-original-uri"] = true, ["x-original-method"] = true, ["x-rewrite-url"] = true,',
  '  ["x-forwarded-host"] = true, ["x-forwarded-uri"] = true, ["x-forwarded-method"] = true,',
  ...headers.map((name) => `  ["${name.toLowerCase()}"] = true,`),
  '}',
  'function envoy_on_request(request)',
  '  local names = {}',
  '  for name in pairs(request:headers()) do',
  '    local key = name:lower():gsub("[^a-z0-9]", "-")',
  '    if key:sub(1, 12) == "x-authentik-" or key:sub(1, 12) == "x-gatehouse-" or removed[key] then',
  '      names[#names + 1] = name',
  '    end',
  '  end',
  '  for _, name in ipairs(names) do request:headers():remove(name) end',
  '  request:headers():add("x-forwarded-host", request:headers():get(":authority"))',
  'end',
];

/** Takes the cookies of the login out of what the application receives. */
export const STRIP_COOKIES_LUA: readonly string[] = [
  'function envoy_on_request(request)',
  '  local all = request:headers():get("cookie")',
  '  if all == nil then return end',
  '  local kept = {}',
  '  for pair in all:gmatch("[^;]+") do',
  '    local cookie = pair:match("^%s*(.-)%s*$")',
  '    local name = cookie:match("^[^=%s]*"):lower()',
  '    local own = name:sub(1, 16) == "authentik_proxy_" or name == "authentik_session" or name == "authentik_csrf"',
  '    if cookie ~= "" and not own then kept[#kept + 1] = cookie end',
  '  end',
  '  if #kept == 0 then request:headers():remove("cookie")',
  '  else request:headers():replace("cookie", table.concat(kept, "; ")) end',
  'end',
];
