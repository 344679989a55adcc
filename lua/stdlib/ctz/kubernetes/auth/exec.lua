-- kubernetes/auth/exec.lua: users whose credentials a program gives (aws, gke-gcloud-auth-plugin, ...).
-- SPDX-License-Identifier: MIT
-- Source: client-go, plugin/pkg/client/auth/exec/exec.go; client.authentication.k8s.io/v1, v1beta1.
local channels = require "ctz.core.channel"
local failure = require "ctz.kubernetes.failure"
local json = require "ctz.json"
local process = require "ctz.process"
local secret = require "ctz.secret"
local time = require "ctz.time"

local error, ipairs, pairs, pcall, tostring, type = error, ipairs, pairs, pcall, tostring, type

local PLUGIN_S <const> = 60
local SHOWN_BYTES <const> = 1000
local VERSIONS <const> = {
  ["client.authentication.k8s.io/v1"] = true, ["client.authentication.k8s.io/v1beta1"] = true,
}

local function set(value)
  return type(value) == "string" and value ~= "" and value or nil
end

local function refuse(source, text, ...)
  failure.fail("usage", "kubernetes.connect", ("%s: exec of the user %q "):format(source.place, source.name)
    .. text:format(...))
end

-- What provideClusterInfo tells the program.
local function cluster_info(cluster)
  local fields = cluster.cluster_fields
  local info = {
    server = cluster.server, ["tls-server-name"] = fields["tls-server-name"],
    ["insecure-skip-tls-verify"] = fields["insecure-skip-tls-verify"], ["proxy-url"] = fields["proxy-url"],
    ["disable-compression"] = fields["disable-compression"],
    ["certificate-authority-data"] = fields["certificate-authority-data"],
  }
  local ca = cluster.tls.ca
  if ca and not info["certificate-authority-data"] then
    info["certificate-authority-data"] = require("ctz.base64").encode(require("ctz.fs").read(ca))
  end
  for _, extension in ipairs(fields.extensions or {}) do
    if extension.name == "client.authentication.k8s.io/exec" then
      info.config = extension.extension
    end
  end
  return info
end

local function check_mode(source, config)
  local mode = set(config.interactiveMode)
  if config.apiVersion:find "/v1$" and not mode then
    refuse(source, "needs interactiveMode: Never, IfAvailable or Always")
  elseif mode and mode ~= "Never" and mode ~= "IfAvailable" and mode ~= "Always" then
    refuse(source, "has the unknown interactiveMode %q: Never, IfAvailable or Always", mode)
  end
  return mode
end

-- {argv, env, api_version, hint, shown} of the table under exec.
local function read(cluster, config, source)
  local command, version = set(config.command), set(config.apiVersion)
  if not command then
    refuse(source, "names no command")
  elseif not version or not VERSIONS[version] then
    refuse(source, "has the apiVersion %s: client.authentication.k8s.io/v1 or v1beta1; a newer program speaks them",
      version or "(none)")
  end
  if command:find("/", 1, true) and command:sub(1, 1) ~= "/" then
    command = source.file.folder .. command
    command = command:find("/", 1, true) and command or "./" .. command
  end
  local argv, variables = { command }, {}
  for _, word in ipairs(type(config.args) == "table" and config.args or {}) do
    if type(word) ~= "string" then
      refuse(source, "has an argument that is no text")
    end
    argv[#argv + 1] = word
  end
  for _, pair in ipairs(type(config.env) == "table" and config.env or {}) do
    if type(pair) ~= "table" or not set(pair.name) or type(pair.value) ~= "string" then
      refuse(source, "has an env that is no list of name and value")
    end
    variables[pair.name] = pair.value
  end
  return {
    argv = argv, env = variables, api_version = version, hint = set(config.installHint),
    mode = check_mode(source, config), cluster = config.provideClusterInfo == true and cluster or nil,
    shown = command, user = source.name,
  }
end

local function said(result)
  local words = (result.stderr or ""):gsub("%s+$", "")
  return words ~= "" and ": " .. words:sub(-SHOWN_BYTES) or ""
end

local function run(plugin, op)
  if plugin.mode == "Always" then
    failure.fail("unsupported", op, ("the credential plugin %s wants a terminal (interactiveMode: Always)"):format(
      plugin.shown), { hint = "log in with it once beforehand, or use a token" })
  end
  local request = {
    apiVersion = plugin.api_version, kind = "ExecCredential",
    spec = { interactive = false, cluster = plugin.cluster and cluster_info(plugin.cluster) or nil },
  }
  local variables = { KUBERNETES_EXEC_INFO = json.encode(request) }
  for name, value in pairs(plugin.env) do
    variables[name] = value
  end
  local ok, result = pcall(process.run, plugin.argv, { env = variables, check = false, timeout = PLUGIN_S })
  if not ok then
    if type(result) ~= "table" or result.kind == "cancelled" then
      error(result, 0)
    end
    failure.fail(result.kind, op, ("the credential plugin of the user %s: %s"):format(plugin.user,
      result.message:gsub("^process%.run: ", "")), { hint = plugin.hint or result.hint, target = plugin.shown })
  elseif result.exit_code ~= 0 then
    failure.fail("auth", op, ("the credential plugin %s ended with code %d%s"):format(plugin.shown, result.exit_code,
      said(result)), { exit_code = result.exit_code, hint = plugin.hint, target = plugin.shown })
  end
  return result
end

-- {header, tls, until_at} of what the program printed.
local function read_reply(plugin, op, result)
  local function protocol(text, ...)
    failure.fail("protocol", op, ("the credential plugin %s "):format(plugin.shown) .. text:format(...) .. said(result),
      { target = plugin.shown })
  end
  local ok, reply = pcall(json.decode, result.stdout)
  if not ok or type(reply) ~= "table" or reply.kind ~= "ExecCredential" then
    protocol("printed no ExecCredential")
  elseif reply.apiVersion ~= plugin.api_version then
    protocol("answered in %s, asked was %s", tostring(reply.apiVersion), plugin.api_version)
  end
  local status = type(reply.status) == "table" and reply.status or {}
  local token, cert, key = set(status.token), set(status.clientCertificateData), set(status.clientKeyData)
  if (cert == nil) ~= (key == nil) then
    protocol("gave a %s without a %s", cert and "certificate" or "key", cert and "key" or "certificate")
  elseif not token and not cert then
    protocol("gave neither a token nor a certificate")
  end
  local until_at
  if set(status.expirationTimestamp) then
    local parsed, at = pcall(time.parse, status.expirationTimestamp)
    if not parsed then
      protocol("gave an expirationTimestamp that is no time: %s", status.expirationTimestamp)
    end
    until_at = at
  end
  local tls = cert and { cert = cert, key = key }
  return { header = token and secret("Bearer " .. token), tls = tls, until_at = until_at }
end

-- authorizer(cluster, config, source) -> authorize. Credentials are kept until they expire or are refused;
-- tasks that need them at the same time run the program once.
local function authorizer(cluster, config, source)
  local plugin, turn, known = read(cluster, config, source), channels.channel(1), nil
  return function(headers, opts)
    local seen = known
    turn:send(true)
    local ok, err = true, nil
    local is_stale = not known or known.until_at and known.until_at <= time.now() or opts.fresh and known == seen
    if is_stale then
      ok, err = pcall(function()
        known = read_reply(plugin, opts.op, run(plugin, opts.op))
      end)
    end
    turn:receive()
    if not ok then
      error(err, 0)
    end
    headers.Authorization = known.header
    return known.tls
  end
end

return { authorizer = authorizer }
