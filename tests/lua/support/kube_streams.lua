-- kube_streams.lua: starts tests/testbed/kube_streams.py for a spec, and a client of it.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local Server = {}
Server.__index = Server

-- A client of the server, as ctz.kubernetes.connect makes them.
function Server:client(fields)
  local address = "127.0.0.1:" .. self.ports.api
  local cluster = {
    name = "streams", context = "streams", shown = "streams", server = "http://" .. address, address = address,
    namespace = "default", tls = {},
  }
  return require("ctz.kubernetes.client").new(cluster, fields or {})
end

function Server:stop()
  self.pipe:close() -- the end of its stdin ends it
  os.execute("rm -rf '" .. self.folder .. "'")
end

local function start()
  local pipe = io.popen "mktemp -d"
  local folder = pipe:read "l"
  pipe:close()
  local self = setmetatable({ folder = folder }, Server)
  self.pipe = assert(io.popen(("exec python3 -W ignore tests/testbed/kube_streams.py '%s'"):format(folder), "w"))
  ctz.timeout(30, function()
    repeat
      ctz.sleep(0.01)
      local chunk = loadfile(folder .. "/ports.lua")
      self.ports = chunk and chunk()
    until self.ports
  end)
  return self
end

return { start = start }
