-- copy-to-airgap.lua: carries images to a network that has no other: into a folder, and out of it there.
--
-- out: copies the images into one layout, where what they share is kept once, and lists them in a file
-- beside it. in: pushes what is listed into the registry there, under the same names behind its own. A copy
-- that was interrupted goes on where it was. All is compared with its digest on both ways.
--
-- Usage:       ctz run recipes/copy-to-airgap.lua mode=out folder=usb images=alpine:3.20,ghcr.io/a/b:1.0
--              ctz run recipes/copy-to-airgap.lua mode=in folder=usb registry=registry.inside:5000
-- Parameters:  mode       out or in
--              folder     what is carried
--              images     of out: the images
--              platforms  of out: only these, such as linux/amd64; default all
--              registry   of in: the registry there
-- Needs:       the registries of one side at a time
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "mode", "enum", choices = { "out", "in" }, help = "out or in" },
  { "folder", "path", help = "what is carried" },
  { "images", "list", of = "string", optional = true, help = "of out: the images" },
  { "platforms", "list", of = "string", optional = true, help = "of out: only these" },
  { "registry", "string", optional = true, help = "of in: the registry there" },
}

local LIST <const> = p.folder .. "/images.json"
local LAYOUT <const> = "oci:" .. p.folder .. "/images:"

local function carry_out()
  if not p.images or #p.images == 0 then
    ctz.fail("mode=out needs images", { code = 2 })
  end
  ctz.fs.mkdir(p.folder, { parents = true })
  local list = ctz.json.array {}
  for i, image in ipairs(p.images) do
    local name = ctz.registry.reference.parse(image, { default_tag = true })
    local done = ctz.registry.copy(tostring(name), LAYOUT .. i, { platforms = p.platforms })
    list[i] = { path = name.path, tag = name.tag, digest = done.digest, place = tostring(i) }
    print(("%s %s"):format(done.digest, tostring(name)))
  end
  ctz.fs.write(LIST, ctz.json.encode(list, { indent = 2 }) .. "\n")
end

local function carry_in()
  if not p.registry then
    ctz.fail("mode=in needs registry", { code = 2 })
  end
  for _, one in ipairs(ctz.json.decode(ctz.fs.read(LIST))) do
    local target = ("%s/%s:%s"):format(p.registry, one.path, one.tag or "digest-" .. one.digest:sub(8, 19))
    local done = ctz.registry.copy(LAYOUT .. one.place, target)
    if done.digest ~= one.digest then
      ctz.fail(("%s is %s, and %s was carried"):format(target, done.digest, one.digest))
    end
    print(("%s %s"):format(done.digest, target))
  end
end

if p.mode == "out" then
  carry_out()
else
  carry_in()
end
