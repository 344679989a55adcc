-- image/source/rootfs.lua: a folder of files as an image of one layer.
-- SPDX-License-Identifier: MIT
local document = require "ctz.image.document"
local fs = require "ctz.fs"
local host = require "ctz.core.host"
local layout = require "ctz.image.source.layout"

local error, pairs, pcall, setmetatable, type = error, pairs, pcall, setmetatable, type
local fail = document.fail

local Rootfs = { __name = "ctz.image.place", kind = "rootfs", jobs = 4 }

-- It is made into a layout of our own when it is first asked for.
function Rootfs:resolve()
  if not self.made then
    if host.mode().dry_run then
      fail("unsupported", self.ref, "what a folder would become cannot be shown in a dry run",
        'ctz.image.assemble{layers={{from="DIR"}}, to="oci:out"} can')
    end
    self.dir = fs.tempdir()
    local to = ("oci:%s:made"):format(self.dir.path)
    local ok, err = pcall(require("ctz.image").assemble, { layers = { { from = self.folder } }, to = to })
    if not ok then
      if type(err) == "table" then
        err.target = self.ref
      end
      error(err, 0)
    end
    self.made = layout.open(self.dir.path .. ":made", self.ref)
  end
  return self.made:resolve()
end

function Rootfs:referrers() -- luacheck: ignore 212
  return {}
end

function Rootfs:tags() -- luacheck: ignore 212
  return function() end
end

function Rootfs:close()
  if self.dir then
    self.dir:close()
    self.dir = nil
  end
end

for _, name in pairs { "manifest", "has_blob", "read_blob" } do
  Rootfs[name] = function(self, ...)
    return self.made[name](self.made, ...)
  end
end
Rootfs.__index = Rootfs

local function open(rest, ref, for_writing)
  if for_writing then
    fail("unsupported", ref, "a folder of files is no place for an image", "image:extract(DIR) writes its files there")
  elseif rest == "" or rest:find("\0", 1, true) then
    fail("usage", nil, ("\"%s\" names no folder"):format(ref), "rootfs:build/root")
  end
  local stat = fs.stat(rest)
  if not stat or stat.type ~= "directory" then
    fail(stat and "usage" or "not_found", ref, stat and rest .. " is no folder" or "there is no folder " .. rest)
  end
  return setmetatable({ ref = ref, folder = rest }, Rootfs)
end

return { open = open }
