-- first.lua: one call.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

assert(ctz.kubernetes.connect():get("namespace", "default").metadata.name == "default")
