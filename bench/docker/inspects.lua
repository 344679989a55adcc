-- inspects.lua ID COUNT AT_ONCE: inspects a container COUNT times, AT_ONCE tasks at a time.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local docker = ctz.docker

local id, left, at_once = ctz.args[1], tonumber(ctz.args[2]), tonumber(ctz.args[3])
ctz.scope(function()
  for _ = 1, at_once do
    ctz.spawn(function()
      while left > 0 do
        left = left - 1
        assert(docker.containers.inspect(id).Id == id)
      end
    end)
  end
end)
