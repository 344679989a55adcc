-- image/layout.lua: names of images in OCI layout folders, and their index.json.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec v1.0, image-layout.md and annotations.md.
local core = require "ctz.core.image"
local json = require "ctz.json"
local task = require "ctz.core.task"

local error, ipairs, pcall, type = error, ipairs, pcall, type
local new_error = task.error

local INDEX_TYPE <const> = "application/vnd.oci.image.index.v1+json"
local REF_NAME <const> = "org.opencontainers.image.ref.name"
local INDEX_BYTES <const> = 8 << 20
local LOCK_PAUSE_S <const> = 0.02

local OTHER_FORMS <const> = { docker = true, ["docker-archive"] = true, ["oci-archive"] = true, rootfs = true }

-- A name such as "1.0" or "docker.io/library/web:1.0": components of letters and digits, with
-- separators between them.
local function is_ref_name(name)
  if name == "" or name:find("//", 1, true) or name:find("^/") or name:find("/$") then
    return false
  end
  for component in name:gmatch("[^/]+") do
    if not component:find("^%w[%w%-%._:@+]*$") or not component:find("%w$") then
      return false
    end
  end
  return true
end

-- "oci:out/site:1.0" -> "out/site", "1.0"; nil and a problem when it is something else. As in
-- skopeo, the folder ends at the first colon.
local function parse(ref, problems)
  if not problems:check(ref, "string", "to", true) then
    return nil
  end
  local form, rest = ref:match("^([%a%-]+):(.*)$")
  if form and OTHER_FORMS[form] then
    problems:add("unsupported", "to", form .. ": is not written here",
      { hint = "write \"oci:DIR:TAG\", then skopeo copy or ctz.registry.copy" })
    return nil
  elseif form ~= "oci" then
    problems:add("usage", "to", ("expected \"oci:DIR:TAG\", got \"%s\""):format(ref), { hint = "oci:out/site:1.0" })
    return nil
  end
  local folder, name = rest:match("^([^:]*):?(.*)$")
  name = name == "" and not rest:find(":$") and "latest" or name
  if folder == "" or folder:find("\0", 1, true) then
    problems:usage("to", "\"%s\" names no folder", ref)
  elseif not is_ref_name(name) then
    problems:usage("to", "\"%s\" is not a tag; a tag is of letters, digits and - . _ : @ + / between them", name)
  else
    return folder:find("^/+$") and folder or folder:gsub("/+$", ""), name
  end
end

-- A lock on the folder, to be closed; waits for other tasks and processes.
local function lock(folder)
  while true do
    local held = core.lock(folder)
    if held then
      return held
    end
    task.sleep(LOCK_PAUSE_S)
  end
end

local function broken(path, why)
  error(new_error {
    kind = "protocol", op = "image.assemble", target = path,
    message = ("%s is not an OCI image index: %s"):format(path, why),
    hint = "move the folder away, or repair the file",
  }, 0)
end

local function parse_index(path, text)
  if not text then
    return { schemaVersion = 2, mediaType = INDEX_TYPE, manifests = json.array {} }
  elseif text == "" or #text > INDEX_BYTES then
    broken(path, text ~= "" and "it is over 8 MiB" or "it is empty")
  end
  local ok, index = pcall(json.decode, text)
  if not ok then
    broken(path, type(index) == "table" and index.message or tostring(index))
  elseif type(index) ~= "table" or index.schemaVersion ~= 2 or type(index.manifests) ~= "table" then
    broken(path, "it lacks schemaVersion 2 or manifests")
  end
  return index
end

-- What is to be replaced may be read by who may write it.
local function read_index(path)
  return parse_index(path, core.current(path, INDEX_BYTES + 1))
end

local function name_of(descriptor)
  return type(descriptor) == "table" and type(descriptor.annotations) == "table" and descriptor.annotations[REF_NAME]
end

-- Where in the list an image of that name stands; one without a name is found by its digest.
local function place_of(manifests, name, digest)
  for i, other in ipairs(manifests) do
    local other_name = name_of(other)
    if name and other_name == name or not name and not other_name and other.digest == digest then
      return i
    end
  end
  return #manifests + 1
end

-- Enters an image into index.json under that name, or without one. Other names, and whatever else
-- stands there, are kept; an image that had the name loses it.
local function tag(folder, name, descriptor)
  descriptor.annotations = name and { [REF_NAME] = name } or nil
  local path = folder .. "/index.json"
  local held <close> = lock(folder) -- luacheck: ignore held
  local index = read_index(path)
  index.manifests[place_of(index.manifests, name, descriptor.digest)] = descriptor
  core.replace(path, json.encode(index))
end

return {
  parse = parse, tag = tag, is_name = is_ref_name, name_of = name_of, parse_index = parse_index,
  INDEX_BYTES = INDEX_BYTES,
}
