-- Lets HAProxy ask Gatehouse about requests. HAProxy 2.6 or newer, built with Lua.
--
--   global      lua-load-per-thread /etc/haproxy/gatehouse.lua
--   frontend    http-request lua.gatehouse abns@gatehouse
--               http-request deny unless { var(txn.gatehouse) -m str allow }
--               http-response lua.gatehouse-cookies if { var(txn.gatehouse_cookies) -m bool }
--
-- The argument names a listener of this HAProxy whose backend is Gatehouse, so that name resolution, checks and TLS
-- are those of an ordinary server line. It asks as Traefik does (/auth/traefik): that answer can be handed to the
-- visitor as it is, be it the redirect to the login with its cookie, a page that says why not, or JSON for a script.
-- nginx's own form of the question knows 401 and 403 only.
--
-- Every error, also one of Lua itself, leaves txn.gatehouse unset, and the second line denies. Do not leave it out.
--
-- More headers of the answer for the application, beside X-authentik-*, are named before the question:
--               http-request set-var(txn.gatehouse_headers) str("Authorization X-Department")

local ADDRESS = "http://gatehouse/outpost.goauthentik.io/auth/traefik"
local TIMEOUT_MS = 10000

-- What of the visitor's request decides. Everything about where the request came from is set below instead.
local ASKED_WITH = {
  "accept", "accept-language", "access-control-request-headers", "access-control-request-method", "authorization",
  "content-type", "cookie", "origin", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user",
  "sec-websocket-version", "user-agent", "x-requested-with",
}

-- Frameworks take another method from these, in any spelling; rules for methods must know.
local METHOD_OVERRIDES = {
  ["x-http-method"] = true, ["x-http-method-override"] = true, ["x-method-override"] = true,
}

-- Headers of an answer that are about its way here.
local NOT_RELAYED = {
  ["connection"] = true, ["content-length"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true,
}

-- Names nobody but Gatehouse may set, beside X-authentik-* and X-gatehouse-*.
local MANAGED = {
  ["x-auth-username"] = true, ["x-auth-groups"] = true, ["x-forwarded-email"] = true,
  ["x-forwarded-preferred-username"] = true, ["x-forwarded-user"] = true,
  -- addresses some frameworks open instead of the one that was asked for
  ["x-original-url"] = true, ["x-original-uri"] = true, ["x-rewrite-url"] = true,
}

-- To many applications X_Authentik.Username is X-Authentik-Username.
local function folded(name)
  return (name:lower():gsub("[^a-z0-9]", "-"))
end

local function is_managed(name, more)
  local key = folded(name)
  return key:sub(1, 12) == "x-authentik-" or key:sub(1, 12) == "x-gatehouse-" or MANAGED[key] or more[key] ~= nil
end

-- HAProxy counts values from 0.
local function values_of(list)
  local values = {}
  local i = 0
  while list ~= nil and list[i] ~= nil do
    values[#values + 1] = list[i]
    i = i + 1
  end
  return values
end

local function named(text)
  local names = {}
  for name in (text or ""):gmatch("[^%s,]+") do names[folded(name)] = name:lower() end
  return names
end

-- The visitor's cookies without Gatehouse's; nil when none is left.
local function foreign_cookies(lines)
  local kept = {}
  for _, line in ipairs(lines) do
    for pair in line:gmatch("[^;]+") do
      local cookie = pair:match("^%s*(.-)%s*$")
      local name = cookie:match("^[^=%s]*"):lower()
      local own = name:sub(1, 16) == "authentik_proxy_" or name == "authentik_session" or name == "authentik_csrf"
      if cookie ~= "" and not own then kept[#kept + 1] = cookie end
    end
  end
  if #kept == 0 then return nil end
  return table.concat(kept, "; ")
end

local function question(txn, visitor)
  local headers = {
    ["host"] = { txn.sf:req_hdr("host") },
    ["x-forwarded-host"] = { txn.sf:req_hdr("host") },
    ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
    ["x-forwarded-uri"] = { txn.sf:pathq() },
    ["x-forwarded-method"] = { txn.sf:method() },
    ["x-forwarded-for"] = { txn.sf:src() },
  }
  for _, name in ipairs(ASKED_WITH) do
    local values = values_of(visitor[name])
    if #values > 0 then headers[name] = values end
  end
  for name, list in pairs(visitor) do
    if METHOD_OVERRIDES[folded(name)] then headers[folded(name)] = { values_of(list)[1] } end
  end
  return headers
end

-- Puts what the answer says about the person in place of whatever the visitor said.
local function hand_on(txn, visitor, answer)
  local more = named(txn:get_var("txn.gatehouse_headers"))
  for name in pairs(visitor) do
    if is_managed(name, more) then txn.http:req_del_header(name) end
  end
  for name, list in pairs(answer) do
    if folded(name):sub(1, 12) == "x-authentik-" or more[folded(name)] == name then
      for _, value in ipairs(values_of(list)) do txn.http:req_add_header(name, value) end
    end
  end
  local cookies = foreign_cookies(values_of(visitor["cookie"]))
  txn.http:req_del_header("cookie")
  if cookies ~= nil then txn.http:req_add_header("Cookie", cookies) end
end

-- The visitor gets Gatehouse's answer instead of the application's.
local function relay(txn, response)
  local reply = txn:reply{ status = response.status, reason = response.reason }
  for name, list in pairs(response.headers) do
    if not NOT_RELAYED[name] then
      for _, value in ipairs(values_of(list)) do reply:add_header(name, value) end
    end
  end
  reply:set_body(response.body or "")
  txn:done(reply)
end

local function unavailable(txn)
  local reply = txn:reply{ status = 503, reason = "Service Unavailable" }
  reply:add_header("content-type", "text/plain; charset=utf-8")
  reply:add_header("cache-control", "no-store")
  reply:set_body("The login service does not answer. Try again in a moment.\n")
  txn:done(reply)
end

core.register_action("gatehouse", { "http-req" }, function(txn, listener)
  local visitor = txn.http:req_get_headers()
  local response = core.httpclient():get{
    url = ADDRESS, dst = listener, headers = question(txn, visitor), timeout = TIMEOUT_MS,
  }
  local status = response and response.status or 0
  if status < 200 then return unavailable(txn) end
  if status ~= 200 then return relay(txn, response) end

  hand_on(txn, visitor, response.headers)
  local cookies = values_of(response.headers["set-cookie"])
  if #cookies > 0 then
    txn:set_priv(cookies)
    txn:set_var("txn.gatehouse_cookies", true)
  end
  txn:set_var("txn.gatehouse", "allow")
end, 1)

-- The renewed session goes to the browser with the application's answer.
core.register_action("gatehouse-cookies", { "http-res" }, function(txn)
  for _, cookie in ipairs(txn:get_priv() or {}) do txn.http:res_add_header("Set-Cookie", cookie) end
end, 0)
