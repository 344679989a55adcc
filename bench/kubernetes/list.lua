-- list.lua NAMESPACE: lists the pods and holds them all; prints how many there are.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local namespace = ...

print(#ctz.kubernetes.connect():list("pods", { namespace = namespace }).items)
