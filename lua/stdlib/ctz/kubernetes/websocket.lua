-- kubernetes/websocket.lua: a WebSocket to the API server: the handshake and what was agreed on.
-- SPDX-License-Identifier: MIT
-- Source: RFC 6455, section 4.1.
local core = require "ctz.core.kubernetes"
local new_error = require("ctz.core.task").error

local error, ipairs = error, ipairs
local concat = table.concat

local function refuse(connection, opts, kind, text, ...)
  connection:close()
  error(new_error {
    kind = kind,
    op = opts.op,
    message = ("%s: %s"):format(opts.target, text:format(...)),
    hint = opts.hint,
    target = opts.target,
  }, 0)
end

local function is_offered(protocols, name)
  for _, protocol in ipairs(protocols) do
    if protocol == name then
      return true
    end
  end
  return false
end

-- open(client, path, opts) -> socket, protocol. opts: op, target, query, timeout, protocols (the best
-- first), channels (the first byte of a message tells its channel).
local function open(client, path, opts)
  if client.open_socket then -- a simulated cluster has one in memory
    return client:open_socket(path, opts)
  end
  local key, accept = core.handshake()
  local connection = client:upgrade(path, {
    op = opts.op,
    target = opts.target,
    query = opts.query,
    timeout = opts.timeout,
    protocol = "websocket",
    accept = "*/*", -- what streams has no representation
    headers = {
      ["Sec-WebSocket-Key"] = key,
      ["Sec-WebSocket-Version"] = "13",
      ["Sec-WebSocket-Protocol"] = concat(opts.protocols, ", "),
    },
  })
  local headers = connection.headers
  local protocol = headers["sec-websocket-protocol"]
  if (headers.upgrade or ""):lower() ~= "websocket" or headers["sec-websocket-accept"] ~= accept then
    refuse(connection, opts, "protocol", "the server answers 101, but not to our WebSocket handshake")
  elseif not protocol or not is_offered(opts.protocols, protocol) then
    refuse(connection, opts, "unsupported", "the server speaks %s; ctz speaks %s",
      protocol or "no subprotocol", concat(opts.protocols, " or "))
  end
  local handle = connection.exchange:hand_over()
  return core.websocket(handle, { channels = opts.channels }), protocol
end

return { open = open }
