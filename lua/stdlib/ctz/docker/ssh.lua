-- docker/ssh.lua: an engine behind ssh: ssh HOST docker system dial-stdio for each connection.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/connhelper/ssh.
local core = require "ctz.core.docker"
local new_error = require("ctz.core.task").error

local error, ipairs, pcall = error, ipairs, pcall

local relays = {} -- by address: each connection of a pool belongs to one of them

local function open(url)
  local ok, opened = pcall(core.relay, url)
  if not ok then
    opened.op = "docker.connect"
    error(opened, 0)
  end
  return opened
end

-- Gives an endpoint the private socket that its requests go to.
local function relay(endpoint)
  local url = endpoint.host
  relays[url] = relays[url] or open(url)
  endpoint.relay = relays[url]
  endpoint.unix_socket = endpoint.relay:path()
  endpoint.address = "unix:" .. endpoint.unix_socket
end

-- What ssh, or docker over there, says: {its words, kind, hint}.
local meanings <const> = {
  { "Permission denied", "auth", "ssh has no terminal to ask on: it needs a key without a passphrase, or an agent" },
  { "Host key verification failed", "auth", "connect by hand once: ssh asks whether the host is the right one" },
  { "Could not resolve hostname", "unreachable", "check the name, or the Host entry in ~/.ssh/config" },
  { "docker: not found", "not_found", "the docker command is not installed there, or not in the PATH of ssh" },
  { "command not found", "not_found", "the docker command is not installed there, or not in the PATH of ssh" },
  { "permission denied", "denied", "that user may not use the engine: the group docker over there" },
  { "Cannot connect to the Docker daemon", "unreachable", "is the engine started over there?" },
}

-- The failure of a request, in the words of the ssh that carried it.
local function explain(endpoint, err)
  if err.kind ~= "unreachable" and err.kind ~= "protocol" then
    return err
  end
  local words = endpoint.relay:why()
  if not words then
    return err
  end
  local kind, hint = "unreachable", nil
  for _, meaning in ipairs(meanings) do
    if words:find(meaning[1], 1, true) then
      kind, hint = meaning[2], meaning[3]
      break
    end
  end
  return new_error {
    kind = kind,
    message = words:find "^ssh" and words or "ssh: " .. words,
    hint = hint,
    retryable = kind == "unreachable",
  }
end

return { relay = relay, explain = explain }
