-- events.lua: watches an engine's events.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

for event in ctz.docker.system.events() do
  print(ctz.json.encode(event.raw))
end
