-- idle.lua: watches the pods of all namespaces; prints "sync" and the names of what changes afterwards.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local has_begun = false
for event in ctz.kubernetes.connect():watch("pods", { all_namespaces = true }) do
  if event.type == "sync" then
    has_begun = true
    print(event.type)
  elseif has_begun then
    print(event.object.metadata.name)
  end
end
