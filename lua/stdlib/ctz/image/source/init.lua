-- image/source/init.lua: places where images are, all with one interface.
-- SPDX-License-Identifier: MIT
--
-- A place that is read has resolve, manifest, has_blob, read_blob, referrers, tags and close; one that is
-- written has begin, has_blob, has_manifest, write_blob, write_manifest, finish and close. Who writes
-- checks digest and size before what it wrote can be seen. place.jobs: how many blobs it takes at once;
-- place.single: it holds images of one platform only; place.piece: bytes of a blob that are best read at once for it.
local new_error = require("ctz.core.task").error
local reference = require "ctz.registry.reference"

local error, require, type = error, require, type

local FORMS <const> = {
  oci = "layout", ["oci-archive"] = "archive", ["docker-archive"] = "archive", docker = "docker",
  rootfs = "rootfs",
}

-- open(ref, for_writing, clients) -> place. clients: how registries are reached, of registry/clients.lua.
local function open(ref, for_writing, clients)
  if type(ref) ~= "string" or ref == "" then
    error(new_error {
      kind = "usage",
      message = ("expected an image's name, got %s"):format(ref == "" and "an empty string" or type(ref)),
      hint = "oci:DIR:TAG, docker-archive:FILE, docker:NAME, rootfs:DIR or HOST/NAME:TAG",
    }, 0)
  end
  local form, rest = ref:match "^([%l%-]+):(.*)$"
  local file = FORMS[form] or "registry"
  return require("ctz.image.source." .. file).open(FORMS[form] and rest or ref, ref, for_writing, form,
    clients)
end

-- The host of the registry that a reference names; nil for what is in no registry, or is no reference.
local function host_of(ref)
  if FORMS[ref:match "^([%l%-]+):"] then
    return nil
  end
  local parts = reference.read(ref)
  return parts and parts.domain
end

return { open = open, host_of = host_of }
