-- copy.lua SRC DST [verify]: copies an image; prints its digest.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

print(ctz.registry.copy(ctz.args[1], ctz.args[2], { verify = ctz.args[3] == "verify" or nil }).digest)
