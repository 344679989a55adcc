-- rebase.lua: puts an image that was built on one base onto a newer one, without building it again.
--
-- The layers above the old base stay as they are, byte for byte; those of the new base come below them, and
-- what the old base set and the image left alone comes from the new one. Only what the target lacks is sent. For
-- an index each of its platforms is put onto the base's image for that platform. Signatures and other artifacts
-- of the image stay with the old one: they are not of what is made here.
--
-- Usage:       ctz run recipes/rebase.lua image=host/team/app:1.0 from=debian:12.1 to=debian:12.2
-- Parameters:  image   what was built
--              from    the base that it was built on
--              to      the base that it gets
--              target  where the result goes; default the image's own name, which then means the new one
-- Needs:       the registries; the base must be the one that the image has below it
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "image", "string", help = "what was built" },
  { "from", "string", help = "the base that it was built on" },
  { "to", "string", help = "the base that it gets" },
  { "target", "string", optional = true, help = "where the result goes" },
}

local target = p.target or p.image
local image <close> = ctz.image.open(p.image)
local platforms = image:platforms()
local rebase = { from = p.from, to = p.to }

if #platforms <= 1 then
  local made = image:mutate { rebase = rebase, platform = platforms[1] and platforms[1].platform, to = target }
  print(("%s %s"):format(made.digest, target))
  return
end

-- Each platform alone into a layout of our own, then the index of them to the target.
local folder <close> = ctz.fs.tempdir()
local list = ctz.json.array {}
for i, one in ipairs(platforms) do
  local made = image:mutate { rebase = rebase, platform = one.platform, to = ("oci:%s/out:%d"):format(folder, i) }
  print(("%s %s"):format(made.digest, one.platform))
  list[i] = { tag = tostring(i), platform = one.platform, digest = made.digest }
end
local name = ctz.registry.reference.parse(target, { default_tag = true })
local client = ctz.registry.connect(name.domain)
local entries = {}
for i, one in ipairs(list) do
  local part = ("%s/%s:%s-%s"):format(name.domain, name.path, name.tag, (one.platform:gsub("[/:]", "-")))
  ctz.registry.copy(("oci:%s/out:%s"):format(folder, one.tag), part)
  entries[i] = one.digest
end
local index = client:create_index(name.path, name.tag, entries)
print(("%s %s"):format(index.digest, target))
