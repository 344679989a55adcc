-- cycles.lua IMAGE COUNT AT_ONCE: creates, starts, awaits, reads and removes COUNT containers, AT_ONCE at a time.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local docker = ctz.docker

local image, count, at_once = ctz.args[1], tonumber(ctz.args[2]), tonumber(ctz.args[3])
local numbers = {}
for i = 1, count do
  numbers[i] = i
end

ctz.map(numbers, function(number)
  local command = { "echo", "hello " .. number }
  local container = docker.containers.create { image = image, command = command, name = "ours-" .. number }
  container:start()
  assert(container:wait() == 0)
  for line in container:logs() do
    assert(line.text == "hello " .. number)
  end
  container:remove()
end, { jobs = at_once })
