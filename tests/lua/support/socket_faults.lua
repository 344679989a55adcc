-- socket_faults.lua: tests/testbed/socket_faults.py between a spec and the socket it uses.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local faults = {}

local Proxy = {}
Proxy.__index = Proxy

function Proxy:close()
  self.child:close()
  self.folder:close()
end

Proxy.__close = Proxy.close

--- First lines of the requests that came ("GET /v1.41/info"), in their order.
function Proxy:requests()
  local lines = {}
  for line in ctz.fs.read(self.log):gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  return lines
end

--- A proxy before a socket: {socket=, host="unix://..."}. Options are those of the program, without dashes:
--- match, times, cut, stall, slice (numbers), delay (seconds), body, keep (true), reply (the bytes of an answer).
--- Close it by <close>.
function faults.before(socket, opts)
  local folder = ctz.fs.tempdir()
  local self = setmetatable({ folder = folder, socket = folder.path .. "/socket", log = folder.path .. "/log" }, Proxy)
  self.host = "unix://" .. self.socket
  ctz.fs.write(self.log, "")
  local words = { "python3", "tests/testbed/socket_faults.py", self.socket, socket, "--log", self.log }
  for name, value in pairs(opts or {}) do
    if name == "reply" then
      ctz.fs.write(folder.path .. "/reply", value)
      value = folder.path .. "/reply"
    end
    words[#words + 1] = "--" .. name
    words[#words + 1] = value ~= true and tostring(value) or nil
  end
  self.child = ctz.process.spawn(words, { stdin = "pipe" })
  assert(self.child:read "l" == "ready")
  return self
end

return faults
