-- registry/login.lua: keeps who the user is at a registry, where credentials.lua finds it.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/config (configfile/file.go); docker/docker-credential-helpers, store.
local base64 = require "ctz.base64"
local connect = require("ctz.registry.client").connect
local credentials = require "ctz.registry.credentials"
local env = require "ctz.env"
local fs = require "ctz.fs"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local path = require "ctz.path"
local process = require "ctz.process"
local secret = require "ctz.secret"

local error, pcall, type = error, pcall, type

local OP <const> = "registry.login"
local HELPER_S <const> = 30

local function fail(kind, message, hint, facts)
  facts = facts or {}
  error(new_error {
    kind = kind, op = OP, message = message, hint = hint, target = facts.target, exit_code = facts.exit_code,
    cause = facts.cause,
  }, 0)
end

-- --- config.json -------------------------------------------------------------------------------

local function set(text)
  return text and text ~= "" and text or nil
end

local function config_path()
  local folder = set(env.DOCKER_CONFIG) or set(env.HOME) and env.HOME .. "/.docker"
  return folder and folder .. "/config.json"
    or fail("usage", "there is no folder for config.json", "HOME or DOCKER_CONFIG names it")
end

local function table_of(value)
  return type(value) == "table" and value or {}
end

-- Where it will be kept: {path=, config=, helper=, key=}; no helper: in the file.
local function place_of(host, plain)
  local file = config_path()
  local config = credentials.read_file(OP, file) or {}
  config.path = nil
  local name = credentials.canonical(host)
  local helper, key = credentials.helper_of(config, name)
  if helper and plain then
    fail("usage", ("%s names a credential helper for %s, which is asked and not the file"):format(file, key),
      "without --plain it keeps the password", { target = host })
  end
  helper = helper or set(config.credsStore)
  if not helper and not plain then
    fail("usage", ("no credential helper is configured in %s"):format(file),
      'credsStore: "secretservice" there and docker-credential-secretservice in PATH keep it encrypted; '
        .. "--plain keeps it readable in that file", { target = host })
  end
  return { path = file, config = config, helper = not plain and helper or nil, key = key or credentials.key_of(name) }
end

-- The password goes to its stdin; what it prints may hold it, and is a secret by then.
local function store_by_helper(place, username, password)
  local program = "docker-credential-" .. place.helper
  if not place.helper:find "^[%w][%w_.-]*$" then
    fail("usage", ("%s: no credential helper is called %q"):format(place.path, place.helper))
  end
  local input = secret(json.encode { ServerURL = place.key, Username = username, Secret = password:reveal() })
  local ok, result = pcall(process.run, { program, "store" }, { stdin = input, check = false, timeout = HELPER_S })
  if not ok and result.kind == "not_found" then
    fail("auth", ("no credential helper %s in PATH"):format(program), ("%s asks for it"):format(place.path))
  elseif not ok then
    error(result, 0)
  elseif result.exit_code ~= 0 then
    local words = (result.stdout .. "\n" .. result.stderr):match "^%s*(.-)%s*$":sub(1, 500)
    fail("auth", ("%s store: %s"):format(program, words ~= "" and words or "it ended with code " .. result.exit_code),
      ("%s asks for it"):format(place.path), { target = place.key, exit_code = result.exit_code })
  end
  return program
end

-- For the user alone, also when the file was open to others before.
local function store_in_file(place, username, password)
  local config = place.config
  config.auths = table_of(config.auths)
  config.auths[place.key] = json.object { auth = base64.encode(username .. ":" .. password:reveal()) }
  fs.mkdir(path.dirname(place.path), { parents = true, mode = "0700" })
  fs.write(place.path, json.encode(config, { indent = 2 }) .. "\n", { mode = "0600" })
  return place.path
end

-- check_place(host, {plain=}): raises where a password could not be kept.
local function check_place(host, opts)
  local ok, err = pcall(connect, host)
  if not ok then
    error(err, 0)
  end
  place_of(host, opts.plain)
end

-- login(host, {username=, password=secret, plain=, tls=}) -> {registry=, username=, kept_by=}. The registry
-- is asked first; what it does not take is not kept.
local function login(host, opts)
  local place = place_of(host, opts.plain)
  local client = connect(host, { auth = { username = opts.username, password = opts.password }, tls = opts.tls })
  client:ping()
  local store = place.helper and store_by_helper or store_in_file
  return { registry = client.name, username = opts.username, kept_by = store(place, opts.username, opts.password) }
end

return { login = login, check_place = check_place }
