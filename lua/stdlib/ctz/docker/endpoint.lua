-- docker/endpoint.lua: which engine is meant, found as the docker command finds it.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/context/store and cli/command/cli.go: DOCKER_HOST goes before DOCKER_CONTEXT,
-- and that before currentContext of config.json.
local env = require "ctz.env"
local fs = require "ctz.fs"
local hash = require "ctz.hash"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error

local error, ipairs, pcall, type = error, ipairs, pcall, type

local DEFAULT_HOST <const> = "unix:///var/run/docker.sock"
local CONNECT <const> = "docker.connect"

local function usage(text, hint)
  error(new_error { kind = "usage", op = CONNECT, message = text, hint = hint }, 0)
end

local function config_folder()
  return env.DOCKER_CONFIG or (env.HOME or "") .. "/.docker"
end

-- The JSON of a file, nil when there is no such file.
local function read_json(path)
  local ok, text = pcall(fs.read, path)
  if not ok then
    if text.kind ~= "not_found" then
      error(text, 0)
    end
    return nil
  end
  local decoded, value = pcall(json.decode, text)
  if not decoded then
    usage(("%s is no JSON: %s"):format(path, value.message), "mend it, or set DOCKER_HOST")
  end
  return value
end

-- --- TLS ---------------------------------------------------------------------------------------

-- The files of a folder, as far as they are there.
local function tls_of_folder(folder, insecure)
  local tls = { insecure = insecure or nil }
  for _, name in ipairs { "ca", "cert", "key" } do
    local path = folder .. "/" .. name .. ".pem"
    if fs.stat(path) then
      tls[name] = path
    end
  end
  return tls
end

-- --- contexts ----------------------------------------------------------------------------------

local function current_context()
  local config = read_json(config_folder() .. "/config.json")
  return config and config.currentContext
end

local function context_names()
  local names = {}
  for _, meta in ipairs(fs.glob(config_folder() .. "/contexts/meta/*/meta.json")) do
    local value = read_json(meta)
    names[#names + 1] = value and value.Name
  end
  return names
end

local function no_context(name)
  local names = context_names()
  local near = #names > 0 and require("ctz.core.host").nearest(name, names)
  error(new_error {
    kind = "not_found",
    op = CONNECT,
    message = ("there is no context %q in %s"):format(name, config_folder()),
    hint = near and ("did you mean %q?"):format(near) or "docker context ls shows them",
    target = name,
  }, 0)
end

local function from_context(name, source)
  local folder = config_folder() .. "/contexts"
  local id = hash.sha256(name)
  local meta = read_json(folder .. "/meta/" .. id .. "/meta.json") or no_context(name)
  local docker = type(meta.Endpoints) == "table" and meta.Endpoints.docker
  if type(docker) ~= "table" or type(docker.Host) ~= "string" then
    usage(("the context %q has no Docker endpoint"):format(name))
  end
  local tls = folder .. "/tls/" .. id .. "/docker"
  local has_tls = fs.stat(tls) ~= nil or docker.SkipTLSVerify
  return { host = docker.Host, tls = has_tls and tls_of_folder(tls, docker.SkipTLSVerify), source = source }
end

-- --- the choice --------------------------------------------------------------------------------

local function set(text)
  return text and text ~= "" and text or nil
end

local function tls_of_environment()
  local verify = set(env.DOCKER_TLS_VERIFY)
  return verify and tls_of_folder(set(env.DOCKER_CERT_PATH) or config_folder())
end

-- {host, tls, source}
local function choose(opts)
  if opts.host then
    return { host = opts.host, tls = opts.tls or tls_of_environment() }
  elseif opts.context and opts.context ~= "default" then
    return from_context(opts.context, ("the context %q"):format(opts.context))
  end
  local host = set(env.DOCKER_HOST)
  if host or opts.context then
    return { host = host or DEFAULT_HOST, tls = opts.tls or tls_of_environment(), source = host and "DOCKER_HOST" }
  end
  local name = set(env.DOCKER_CONTEXT) or current_context()
  if name and name ~= "default" then
    return from_context(name, ("the context %q"):format(name))
  end
  return { host = DEFAULT_HOST, tls = opts.tls or tls_of_environment() }
end

-- --- addresses ---------------------------------------------------------------------------------

local function unix(rest, chosen)
  if not rest:find "^/" then
    usage(("%s: a socket has an absolute path"):format(chosen.host), "unix:///var/run/docker.sock")
  end
  return { base = "http://docker", unix_socket = rest, address = "unix:" .. rest }
end

local function tcp(rest, chosen, secure)
  local authority, path = rest:match "^([^/]+)(.*)$"
  if not authority then
    usage(("%s names no host"):format(chosen.host), "tcp://HOST:2376")
  end
  if not authority:find ":%d+$" then
    authority = authority .. (secure and ":2376" or ":2375")
  end
  local base = (secure and "https://" or "http://") .. authority .. path:gsub("/+$", "")
  return { base = base, tls = secure and chosen.tls or nil, address = authority }
end

local schemes <const> = {
  unix = unix,
  tcp = function(rest, chosen)
    return tcp(rest, chosen, chosen.tls)
  end,
  http = function(rest, chosen)
    return tcp(rest, chosen, false)
  end,
  https = function(rest, chosen)
    chosen.tls = chosen.tls or {}
    return tcp(rest, chosen, true)
  end,
  ssh = function(rest)
    return { base = "http://docker", ssh = rest }
  end,
}

-- {base, address, unix_socket | tls | ssh, host, source}: where requests go and how. host is the text
-- for people, address the subject of --allow docker=...
local function resolve(opts)
  local chosen = choose(opts)
  local scheme, rest = chosen.host:match "^(%a+)://(.*)$"
  if not scheme and chosen.host:find "^[%w.%-]+:%d+$" then
    scheme, rest = "tcp", chosen.host
  end
  local parse = scheme and schemes[scheme]
  if not parse then
    usage(("%q%s is no address of an engine"):format(chosen.host, chosen.source and " of " .. chosen.source or ""),
      "unix:///PATH, tcp://HOST:PORT or ssh://[USER@]HOST")
  end
  local endpoint = parse(rest, chosen)
  endpoint.host, endpoint.source = chosen.host, chosen.source
  return endpoint
end

return { resolve = resolve, config_folder = config_folder }
