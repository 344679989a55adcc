-- follow.lua ID: follows a container's log to its end; prints what it saw.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local lines, bytes = 0, 0
for line in ctz.docker.containers.get(ctz.args[1]):logs { follow = true } do
  lines = lines + 1
  bytes = bytes + #line.text
end
print(ctz.json.encode { lines = lines, bytes = bytes })
