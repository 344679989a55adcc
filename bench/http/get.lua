-- get.lua REQUESTS AT_ONCE URL: keeps AT_ONCE requests going; prints the memory that is resident afterwards.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local left, at_once, url = tonumber(ctz.args[1]), tonumber(ctz.args[2]), ctz.args[3]
ctz.scope(function()
  for _ = 1, at_once do
    ctz.spawn(function()
      while left > 0 do
        left = left - 1
        assert(#ctz.http.get(url).body == 1024)
      end
    end)
  end
end)
local resident = io.open("/proc/self/status"):read("a"):match("VmRSS:%s*(%d+)")
print(('{"rss_kib": %s}'):format(resident))
