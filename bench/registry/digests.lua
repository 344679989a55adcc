-- digests.lua HOST REPOSITORY: the digest of every tag; prints how many there are, and how many differ.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local tags, kinds, seen = 0, 0, {}
for _, digest in pairs(ctz.registry.connect(ctz.args[1]):digests(ctz.args[2])) do
  tags = tags + 1
  kinds = kinds + (seen[digest] and 0 or 1)
  seen[digest] = true
end
print(tags, kinds)
