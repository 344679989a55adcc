-- each.lua [NAMESPACE]: goes over the pods of a namespace, or of all, one by one; prints how many there are.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local namespace = ...

local count = 0
for pod in ctz.kubernetes.connect():each("pods", { namespace = namespace, all_namespaces = not namespace }) do
  count = count + (pod.kind == "Pod" and 1 or 0)
end
print(count)
