-- docker/endpoint.lua: which engine is meant, found as the docker command finds it.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/context/store and cli/command/cli.go: DOCKER_HOST goes before DOCKER_CONTEXT,
-- and that before currentContext of config.json.
local core = require "ctz.core.docker"
local fs = require "ctz.fs"
local hash = require "ctz.hash"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error

local error, ipairs, next, pcall, type = error, ipairs, next, pcall, type

local setting, setting_file = core.setting, core.setting_file

local DEFAULT_HOST <const> = "unix:///var/run/docker.sock"
local CONNECT <const> = "docker.connect"
local PATH_BYTES <const> = 107 -- unix(7)

local function usage(text, hint)
  error(new_error { kind = "usage", op = CONNECT, message = text, hint = hint }, 0)
end

local function config_folder()
  return setting "DOCKER_CONFIG" or (setting "HOME" or "") .. "/.docker"
end

-- A file of docker's; nil when there is no such file.
local function read(folder, name)
  local ok, text = pcall(setting_file, folder, name)
  if not ok then
    text.op = CONNECT
    error(text, 0)
  end
  return text
end

-- The object in a JSON file below the folder of config.json, nil when there is no such file.
local function read_json(name)
  local text = read("config", name)
  if not text then
    return nil
  end
  local decoded, value = pcall(json.decode, text)
  if not decoded or type(value) ~= "table" then
    local reason = decoded and "it is no object" or value.message
    usage(("%s/%s is no JSON: %s"):format(config_folder(), name, reason), "mend it, or set DOCKER_HOST")
  end
  return value
end

-- --- TLS ---------------------------------------------------------------------------------------

-- The texts of the keys and certificates, as far as they are there.
local function tls_of_folder(folder, prefix, insecure)
  local tls = { insecure = insecure or nil }
  for _, name in ipairs { "ca", "cert", "key" } do
    tls[name] = read(folder, prefix .. name .. ".pem")
  end
  return tls
end

-- --- contexts ----------------------------------------------------------------------------------

local function current_context()
  local config = read_json "config.json"
  return config and type(config.currentContext) == "string" and config.currentContext
end

-- For a hint only.
local function context_names()
  local names = {}
  local ok, folders = pcall(fs.list, config_folder() .. "/contexts/meta")
  for _, folder in ipairs(ok and folders or {}) do
    local read_well, value = pcall(read_json, "contexts/meta/" .. folder .. "/meta.json")
    names[#names + 1] = read_well and value and value.Name or nil
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

local function from_context(name, given)
  local id = hash.sha256(name)
  local meta = read_json("contexts/meta/" .. id .. "/meta.json") or no_context(name)
  local docker = type(meta.Endpoints) == "table" and meta.Endpoints.docker
  if type(docker) ~= "table" or type(docker.Host) ~= "string" then
    usage(("the context %q has no Docker endpoint"):format(name))
  end
  local tls = tls_of_folder("config", "contexts/tls/" .. id .. "/docker/", docker.SkipTLSVerify == true)
  return { host = docker.Host, tls = given or next(tls) and tls, source = ("the context %q"):format(name) }
end

-- --- the choice --------------------------------------------------------------------------------

local function tls_of_environment()
  local tls = setting "DOCKER_TLS_VERIFY" and tls_of_folder("certs", "")
  local path = setting "DOCKER_CERT_PATH"
  if tls and path and not next(tls) then
    error(new_error {
      kind = "not_found",
      op = CONNECT,
      message = ("there is none of ca.pem, cert.pem and key.pem in %s (DOCKER_CERT_PATH)"):format(path),
      hint = "unset DOCKER_TLS_VERIFY to go without TLS",
      target = path,
    }, 0)
  end
  return tls
end

-- tls as far as it is given; it is found only for an address that needs it.
local function plain(host, opts, source)
  return { host = host or DEFAULT_HOST, tls = opts.tls, source = source, find_tls = tls_of_environment }
end

-- {host, tls, find_tls, source}
local function choose(opts)
  if opts.host then
    return plain(opts.host, opts)
  elseif opts.context and opts.context ~= "default" then
    return from_context(opts.context, opts.tls)
  end
  local host = setting "DOCKER_HOST"
  if host or opts.context then
    return plain(host, opts, host and "DOCKER_HOST")
  end
  local name = setting "DOCKER_CONTEXT" or current_context()
  if name and name ~= "default" then
    return from_context(name, opts.tls)
  end
  return plain(nil, opts)
end

-- --- addresses ---------------------------------------------------------------------------------

local function unix(rest, chosen)
  if not rest:find "^/" then
    usage(("%s: a socket has an absolute path"):format(chosen.host), "unix:///var/run/docker.sock")
  end
  if #rest > PATH_BYTES then
    usage(("%s: the path of a socket has at most %d bytes, this has %d"):format(chosen.host, PATH_BYTES, #rest),
      "make a symbolic link to it, or to its folder, in a shorter place")
  end
  return { base = "http://docker", unix_socket = rest, address = "unix:" .. rest }
end

local function tcp(rest, chosen, secure)
  local authority, path = rest:match "^([^/]+)(.*)$"
  local name = authority and (authority:match "^(%[[%x:.%%]+%])" or authority:match "^[%w._%-]+")
  local port = name and authority:sub(#name + 1)
  if not name or port ~= "" and not port:find "^:%d%d?%d?%d?%d?$" or path:find "[%s?#]" then
    usage(("%s is no host and port"):format(chosen.host), "tcp://HOST:2376")
  elseif port == "" then
    authority = name .. (secure and ":2376" or ":2375")
  end
  local base = (secure and "https://" or "http://") .. authority .. path:gsub("/+$", "")
  return { base = base, tls = secure and chosen.tls or nil, address = authority }
end

local schemes <const> = {
  unix = unix,
  tcp = function(rest, chosen)
    chosen.tls = chosen.tls or chosen.find_tls and chosen.find_tls()
    return tcp(rest, chosen, chosen.tls)
  end,
  http = function(rest, chosen)
    return tcp(rest, chosen, false)
  end,
  https = function(rest, chosen)
    chosen.tls = chosen.tls or chosen.find_tls and chosen.find_tls() or {}
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

return { resolve = resolve }
