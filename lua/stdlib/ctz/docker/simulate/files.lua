-- docker/simulate/files.lua: the files of a simulated container: those of its image, and what it changed.
-- SPDX-License-Identifier: MIT
local next, pairs, setmetatable, type = next, pairs, setmetatable, type
local concat, sort = table.concat, table.sort

local Files = {}
Files.__index = Files

local ALWAYS <const> = {
  "/", "/bin", "/dev", "/etc", "/proc", "/root", "/sys", "/tmp", "/usr", "/usr/bin", "/var", "/var/run",
}

-- base: {path = text | true for a folder}. What is in it stays as it is.
local function new(base)
  local image = {}
  for _, path in pairs(ALWAYS) do
    image[path] = true
  end
  for path, content in pairs(base or {}) do
    image[path] = content
    local folder = path:match "^(/.*)/[^/]+$"
    while folder and not image[folder] do
      image[folder] = true
      folder = folder:match "^(/.*)/[^/]+$"
    end
  end
  return setmetatable({ image = image, changes = {}, mounts = {} }, Files)
end

-- The files of a volume, with the folder "/" alone at first.
local function new_volume()
  return setmetatable({ image = { ["/"] = true }, changes = {}, mounts = {} }, Files)
end

-- From now on what is at and below a path is in other files.
function Files:mount(path, files)
  self.mounts[path] = files
end

-- What is mounted has a folder of the container's own under it.
function Files:make_mount_point(path)
  while path ~= "/" and self.image[path] == nil and self.changes[path] == nil do
    self.changes[path] = true
    path = path:match "^(/.+)/[^/]*$" or "/"
  end
end

-- files, path in them: where a path leads.
local function lead(self, path)
  local at = path
  while next(self.mounts) do
    local files = self.mounts[at]
    if files then
      local rest = path:sub(#at + 1)
      return files, rest == "" and "/" or rest
    elseif at == "/" then
      break
    end
    at = at:match "^(/.+)/[^/]*$" or "/"
  end
  return nil
end

-- An absolute path without "." and "..".
local function resolve(path, cwd)
  if path:sub(1, 1) ~= "/" then
    path = (cwd or "/") .. "/" .. path
  end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. concat(parts, "/")
end

-- A file's text, true for a folder, nil when there is none.
function Files:get(path)
  local files, inside = lead(self, path)
  if files then
    return files:get(inside)
  end
  local change = self.changes[path]
  if change == nil then
    return self.image[path]
  end
  return change or nil
end

local function folder_of(path)
  return path:match "^(/.+)/[^/]*$" or "/"
end

-- False when its folder is not there, or is none.
function Files:put(path, content)
  local files, inside = lead(self, path)
  if files then
    return files:put(inside, content)
  end
  if self:get(folder_of(path)) ~= true or (self:get(path) == true) ~= (content == true and self:get(path) ~= nil) then
    return false
  end
  self.changes[path] = content
  return true
end

function Files:remove(path)
  local files, inside_it = lead(self, path)
  if files then
    return files:remove(inside_it)
  end
  self.changes[path] = self.image[path] ~= nil and false or nil
  for _, inside in pairs(self:list(path)) do
    self.changes[inside] = self.image[inside] ~= nil and false or nil
  end
end

-- All paths below a folder, sorted.
function Files:list(folder)
  local prefix, found = folder == "/" and "/" or folder .. "/", {}
  local function add(paths)
    for path in pairs(paths) do
      if path:sub(1, #prefix) == prefix and path ~= "/" and self:get(path) ~= nil then
        found[path] = true
      end
    end
  end
  add(self.image)
  add(self.changes)
  for mount, files in pairs(self.mounts) do
    local paths = { [mount] = true }
    for _, path in pairs(files:list "/") do
      paths[mount .. path] = true
    end
    add(paths)
  end
  local list = {}
  for path in pairs(found) do
    list[#list + 1] = path
  end
  sort(list)
  return list
end

-- {{Path=, Kind=}}: 0 changed, 1 added, 2 deleted; folders that hold them are changed.
function Files:diff()
  local kinds = {}
  for path, change in pairs(self.changes) do
    kinds[path] = change == false and 2 or self.image[path] ~= nil and 0 or 1
    local folder = folder_of(path)
    while folder ~= "/" and kinds[folder] == nil and self.changes[folder] == nil do
      kinds[folder] = 0
      folder = folder_of(folder)
    end
  end
  local list = {}
  for path, kind in pairs(kinds) do
    list[#list + 1] = { Path = path, Kind = kind }
  end
  sort(list, function(left, right)
    return left.Path < right.Path
  end)
  return list
end

-- All there is now, as the base of another one.
function Files:flatten()
  local all = {}
  for path, content in pairs(self.image) do
    all[path] = content
  end
  for path, change in pairs(self.changes) do
    all[path] = change or nil
  end
  return all
end

function Files:bytes()
  local size = 0
  for _, content in pairs(self:flatten()) do
    size = size + (type(content) == "string" and #content or 0)
  end
  return size
end

return { new = new, new_volume = new_volume, resolve = resolve }
