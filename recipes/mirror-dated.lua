-- mirror-dated.lua: mirrors the newest date-stamped tags of an image, and drops older ones from the copy.
--
-- Copies the newest tags such as testing-20240513, then removes those of the same pattern from the copy
-- that are no longer among them. Other tags of the copy are left alone.
--
-- Usage:       ctz run recipes/mirror-dated.lua to=localhost:5000/debian [from=debian] [newest=3]
-- Parameters:  to      the copy
--              from    the image; default debian
--              match   a Lua pattern of its tags; default testing-DATE
--              newest  how many; default 3
--              apply   false: show what would be removed from the copy, and leave it; default true
-- Needs:       both registries; that of the copy removes
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "to", "string", help = "the copy" },
  { "from", "string", default = "debian", help = "the image" },
  { "match", "string", default = "^testing%-%d+$", help = "a Lua pattern of its tags" },
  { "newest", "int", default = 3, help = "how many" },
  { "apply", "bool", default = true, help = "remove older ones from the copy" },
}

local done = ctz.registry.sync {
  from = p.from, to = p.to, match = p.match, newest = p.newest, by = "tag", prune = true,
}
print(("%d copied, %d there already"):format(#done.copied, #done.unchanged))
done.plan:show()
if p.apply then
  done.plan:apply()
end
