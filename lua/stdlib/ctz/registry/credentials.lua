-- registry/credentials.lua: who a user is at a registry, as docker login and podman login keep it.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/config (configfile/file.go, credentials/); docker/docker-credential-helpers;
-- containers/image, docs/containers-auth.json.5.md.
--
-- Nothing is kept between calls: a helper's tokens live for hours only, and the files may change.
local base64 = require "ctz.base64"
local env = require "ctz.env"
local fs = require "ctz.fs"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local process = require "ctz.process"
local secret = require "ctz.secret"
local sorted_keys = require("ctz.problems").sorted_keys

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local tostring, type = tostring, type

local HUB <const> = "https://index.docker.io/v1/" -- what every client calls Docker Hub here
local HUB_NAMES <const> = {
  ["docker.io"] = true, ["index.docker.io"] = true, ["registry-1.docker.io"] = true,
}
local TOKEN_USER <const> = "<token>" -- a helper's word for: the secret is an identity token
local NOT_FOUND <const> = "credentials not found in native keychain"
local HELPER_S <const> = 30
local SHOWN_BYTES <const> = 500
local NOBODY <const> = base64.encode("{}", { url = true }) -- an empty header upsets old engines

local function fail(kind, op, message, facts)
  facts = facts or {}
  error(new_error {
    kind = kind, op = op, message = message, hint = facts.hint, cause = facts.cause, target = facts.target,
    exit_code = facts.exit_code,
  }, 0)
end

-- --- names of registries -----------------------------------------------------------------------

-- "https://host/v2/" -> "host"; "host/path" stays.
local function without_scheme(key)
  local rest = key:match "^https?://(.*)$"
  return rest and rest:match "^[^/]*" or key:gsub("/v[12]/?$", "")
end

-- "ghcr.io/owner/name:tag" -> "ghcr.io", "owner/name"; all names of Docker Hub are "docker.io".
local function split(name)
  local host, path = without_scheme(name):match "^([^/]*)/?([^:@]*)"
  return HUB_NAMES[host] and "docker.io" or host, path
end

-- What a registry is called in config.json, towards helpers and towards the engine.
local function key_of(host)
  return host == "docker.io" and HUB or host
end

-- Is it the key of the whole registry?
local function is_key_of(key, host)
  local other, path = split(key)
  return other == host and path == ""
end

-- --- files -------------------------------------------------------------------------------------

local function set(text)
  return text and text ~= "" and text or nil
end

local function parse(op, text, where)
  local ok, value = pcall(json.decode, text)
  if not ok or type(value) ~= "table" then
    fail("usage", op, ("%s is no JSON object%s"):format(where, ok and "" or ": " .. value.message),
      { hint = "docker login writes it", target = where })
  end
  return value
end

-- {path=, ...} of a file; nil when there is none.
local function read_file(op, path)
  local ok, text = pcall(fs.read, path)
  if ok then
    local value = parse(op, text, path)
    value.path = path
    return value
  elseif text.kind ~= "not_found" then
    error(text, 0)
  end
  return nil
end

-- All places, in the order in which they are asked.
local function sources(op)
  local list = {}
  local function add(path)
    list[#list + 1] = path and read_file(op, path)
  end
  if set(env.DOCKER_AUTH_CONFIG) then
    local value = parse(op, env.DOCKER_AUTH_CONFIG, "DOCKER_AUTH_CONFIG")
    list[1] = { auths = value.auths, path = "DOCKER_AUTH_CONFIG" }
  end
  local home, config_home = set(env.HOME), set(env.XDG_CONFIG_HOME)
  local docker_folder = set(env.DOCKER_CONFIG) or home and home .. "/.docker"
  add(docker_folder and docker_folder .. "/config.json")
  if set(env.REGISTRY_AUTH_FILE) then
    add(env.REGISTRY_AUTH_FILE)
  else
    local runtime = set(env.XDG_RUNTIME_DIR)
    add(runtime and runtime .. "/containers/auth.json")
    config_home = config_home or home and home .. "/.config"
    add(config_home and config_home .. "/containers/auth.json")
  end
  return list
end

local function table_of(value)
  return type(value) == "table" and value or {}
end

-- --- one entry ---------------------------------------------------------------------------------

local function result_of(username, password)
  if password == nil or password == "" then
    return nil
  elseif username == TOKEN_USER then
    return { identity_token = secret(password) }
  end
  return { username = username, password = secret(password) }
end

-- An entry of auths; nil when it says nothing, as entries beside a credsStore do.
local function of_entry(op, entry, key, path)
  if type(entry) ~= "table" then
    return nil
  end
  local token = set(entry.identitytoken)
  if token then
    return { username = set(entry.username), identity_token = secret(token) }
  elseif not set(entry.auth) then
    return result_of(set(entry.username), entry.password)
  end
  local ok, plain = pcall(base64.decode, entry.auth)
  local username, password = (ok and plain or ""):match "^([^:]*):(.*)$"
  if not username or username == "" then
    fail("auth", op, ("%s: auth of %s is not base64 of user:password"):format(path, key),
      { hint = ("docker login %s writes it anew"):format(key), target = key })
  end
  return result_of(username, (password:gsub("%z+$", "")))
end

-- The entry of auths that fits best: the longest part of the path, then the host.
local function find_entry(auths, host, path)
  local name = path ~= "" and host .. "/" .. path or host
  while name ~= host do
    if auths[name] then
      return name
    end
    name = name:match "^(.*)/[^/]*$"
  end
  if auths[key_of(host)] then
    return key_of(host)
  end
  for _, key in ipairs(sorted_keys(auths)) do
    if type(key) == "string" and is_key_of(key, host) then
      return key
    end
  end
  return nil
end

-- --- helpers -----------------------------------------------------------------------------------

local function trimmed(text)
  text = text:match "^%s*(.-)%s*$"
  return #text > SHOWN_BYTES and text:sub(1, SHOWN_BYTES) .. "..." or text
end

-- Runs docker-credential-NAME; returns its answer, or nil when it knows nobody. The registry goes
-- to its stdin; what it prints is a password, so nothing of it is shown but an error.
local function run_helper(op, name, verb, input, from)
  if type(name) ~= "string" or not name:find "^[%w][%w_.-]*$" then
    fail("usage", op, ("%s: no credential helper is called %q"):format(from, tostring(name)))
  end
  local program = "docker-credential-" .. name
  local ok, result = pcall(process.run, { program, verb },
    { stdin = { text = input }, check = false, timeout = HELPER_S })
  if not ok then
    if result.kind == "unsupported" then -- --dry-run and --simulate: nobody is asked, nobody needs to know
      return nil
    elseif result.kind ~= "not_found" then
      error(result, 0)
    end
    fail("auth", op, ("no credential helper %s in PATH"):format(program),
      { hint = ("%s asks for it"):format(from), cause = result, target = input })
  elseif result.exit_code ~= 0 then
    local words = trimmed(result.stdout .. "\n" .. result.stderr)
    if words:find(NOT_FOUND, 1, true) then
      return nil
    end
    words = words ~= "" and words or ("it ended with code %d"):format(result.exit_code)
    fail("auth", op, ("%s %s: %s"):format(program, verb, words), {
      target = input, exit_code = result.exit_code, hint = ("%s asks for it"):format(from),
    })
  end
  local decoded, value = pcall(json.decode, result.stdout)
  if not decoded or type(value) ~= "table" then
    fail("auth", op, ("%s %s: its answer is no JSON object"):format(program, verb), { target = input })
  end
  return value
end

local function ask_helper(op, name, key, from)
  local answer = run_helper(op, name, "get", key, from)
  if not answer then
    return nil
  elseif type(answer.Username) ~= "string" or type(answer.Secret) ~= "string" then
    fail("auth", op, ("docker-credential-%s get: its answer has no Username and Secret"):format(name), { target = key })
  end
  return result_of(answer.Username, answer.Secret)
end

-- The helper that is responsible for a registry, and what the registry is called there.
local function helper_of(source, host)
  local helpers = table_of(source.credHelpers)
  for _, key in ipairs { key_of(host), host, host == "docker.io" and "index.docker.io" or nil } do
    if helpers[key] then
      return helpers[key], key
    end
  end
  return nil
end

local function from_source(op, source, host, path)
  local helper, name = helper_of(source, host)
  if helper then
    return ask_helper(op, helper, name, source.path)
  end
  local found = set(source.credsStore) and ask_helper(op, source.credsStore, key_of(host), source.path)
  if found then
    return found
  end
  local auths = table_of(source.auths)
  local key = find_entry(auths, host, path)
  return key and of_entry(op, auths[key], key, source.path)
end

-- --- the module --------------------------------------------------------------------------------

local function check_name(op, name)
  if type(name) ~= "string" or name == "" or name:find "[%c%s]" then
    fail("usage", op, ("bad argument 'host' to '%s': expected the name of a registry, got %s"):format(op,
      type(name) == "string" and ("%q"):format(name) or type(name)))
  end
end

local function find(op, name)
  check_name(op, name)
  local host, path = split(name)
  for _, source in ipairs(sources(op)) do
    local found = from_source(op, source, host, path)
    if found then
      return found, key_of(host)
    end
  end
  return nil, key_of(host)
end

--- ctz.registry.credentials.get(host) -> table | nil
--- Who the user is at a registry: from config.json of docker (auths, credHelpers, credsStore), then
--- from auth.json of podman and skopeo, as docker login and podman login wrote them. Nil when nobody
--- is logged in there.
--- @async
--- @param host string  "ghcr.io", "localhost:5000", "docker.io"; "ghcr.io/owner/name" finds also what
---   auth.json keeps for a part of a registry
--- @return {username: string?, password: ctz.secret?, identity_token: ctz.secret?}?
--- @error auth  a credential helper fails, or what is written for the registry cannot be read
--- @error usage  the file is no JSON
--- @error timeout  a helper gives no answer within 30 seconds
--- @example assert(ctz.registry.credentials.get "registry.example:5000" == nil)
--- Api: docker/cli, config.json; docker-credential-helpers, get; containers-auth.json(5)
local function get(host)
  return (find("registry.credentials.get", host))
end

-- What the engine is told of one registry: AuthConfig of its API.
local function auth_config(found, key)
  return {
    username = found.username,
    password = found.password and found.password:reveal(),
    identitytoken = found.identity_token and found.identity_token:reveal(),
    serveraddress = key,
  }
end

local function header(value)
  return secret(base64.encode(json.encode(value), { url = true }))
end

-- x_registry_auth(host) -> the header X-Registry-Auth for one registry: base64url with padding of
-- its AuthConfig, a secret; of {} when nobody is logged in there.
-- Api: Docker Engine v1.41, Authentication; moby, api/pkg/authconfig
local function x_registry_auth(host)
  local found, key = find("registry.credentials.x_registry_auth", host)
  return found and header(auth_config(found, key)) or NOBODY
end

-- The registries that the files name, each once.
local function known_hosts(op)
  local hosts = {}
  for _, source in ipairs(sources(op)) do
    local store = set(source.credsStore)
    local ok, stored = pcall(function()
      return store and run_helper(op, store, "list", "", source.path) or {}
    end)
    if not ok and (stored.kind == "cancelled" or stored.kind == "timeout") then
      error(stored, 0)
    end
    for _, map in ipairs { table_of(source.auths), table_of(source.credHelpers), ok and stored or {} } do
      for key in pairs(map) do
        hosts[type(key) == "string" and split(key) or 0] = true
      end
    end
  end
  hosts[0] = nil
  return sorted_keys(hosts)
end

-- x_registry_config(hosts?) -> the header X-Registry-Config of a build: who the user is at these
-- registries, or at all that the files name; a secret. A helper that fails for one of all is told by
-- a warning: the build may not need that registry.
-- Api: Docker Engine v1.41, POST /build
local function x_registry_config(hosts)
  local op <const> = "registry.credentials.x_registry_config"
  local config = json.object {}
  for _, host in ipairs(hosts or known_hosts(op)) do
    local ok, found, key = pcall(find, op, host)
    if ok and found then
      config[key] = auth_config(found, key)
    elseif not ok then
      if hosts or found.kind == "cancelled" or found.kind == "timeout" then
        error(found, 0)
      end
      require("ctz.log").warn("credentials of " .. host .. ": " .. found.message)
    end
  end
  return next(config) and header(config) or NOBODY
end

-- canonical("https://index.docker.io/v1/") -> "docker.io"
local function canonical(name)
  return (split(name))
end

return {
  get = get, x_registry_auth = x_registry_auth, x_registry_config = x_registry_config,
  read_file = read_file, helper_of = helper_of, key_of = key_of, canonical = canonical,
}
