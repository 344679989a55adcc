-- files.lua REF: the files of an image; prints how many there are and their bytes.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local count, size = 0, 0
local image <close> = ctz.image.open(ctz.args[1])
for file in image:files() do
  count = count + (file.type == "file" and 1 or 0)
  size = size + (file.size_bytes or 0)
end
print(count, size)
