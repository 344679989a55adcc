-- cmd/setup.lua: ctz setup [FOLDER]: types for editors.
-- SPDX-License-Identifier: MIT
--
-- The types are written from the program's own documentation, so they fit its version. They stand in
-- the folder itself: .luarc.json can be shared, and moving ctz breaks nothing.
local fs = require "ctz.fs"
local json = require "ctz.json"

local TYPES <const> = ".ctz/types"
local SCHEMA <const> = "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json"

local function say(text, ...)
  io.stderr:write("ctz setup: ", text:format(...), "\n")
end

-- --- .luarc.json -----------------------------------------------------------------------------------

-- A setting may be written flat, with the server's name in front, or nested. Returns the table that
-- holds it and its key there.
local function find(settings, group, name)
  local nested = settings[group]
  if type(nested) == "table" and nested[name] ~= nil then
    return nested, name
  end
  local flat = group .. "." .. name
  if settings["Lua." .. flat] ~= nil then
    return settings, "Lua." .. flat
  end
  return settings, flat
end

local function set_default(settings, group, name, value)
  local holder, key = find(settings, group, name)
  if holder[key] == nil then
    holder[key] = value
  end
  return holder[key]
end

local function includes(list, value)
  for _, item in ipairs(list) do
    if item == value then
      return true
    end
  end
  return false
end

-- Adds what is missing. Returns nil when the list of libraries is no list.
local function complete(settings)
  settings["$schema"] = settings["$schema"] or SCHEMA
  set_default(settings, "runtime", "version", "Lua 5.4")
  set_default(settings, "diagnostics", "disable", json.array { "await-in-sync" }) -- a recipe's top level may wait
  local library = set_default(settings, "workspace", "library", json.array {})
  if type(library) ~= "table" then
    return nil
  elseif not includes(library, TYPES) then
    table.insert(library, TYPES)
  end
  return settings
end

-- The settings that are there already: a table, or nil when they cannot be read as plain JSON.
local function read_settings(path)
  if not fs.exists(path) then
    return json.object {}
  end
  local ok, settings = pcall(json.decode, fs.read(path))
  return ok and type(settings) == "table" and not json.is_array(settings) and settings or nil
end

-- --- the types -------------------------------------------------------------------------------------

local function write_types(folder)
  local files = require "ctz.cmd.types"(require "ctz.docdata")
  local count = 0
  for name, text in pairs(files) do
    local path = folder .. TYPES .. "/" .. name
    fs.mkdir(path:match "^(.*)/", { parents = true })
    fs.write(path, text, { atomic = false }) -- they can be made again
    count = count + 1
  end
  fs.write(folder .. ".ctz/.gitignore", "*\n")
  return count
end

local function run(_, words)
  local folder = words[1] and words[1] .. "/" or ""
  local stat = fs.stat(words[1] or ".")
  if not stat or stat.type ~= "directory" then
    say("%s is not a folder", words[1])
    return 1
  end
  local path = folder .. ".luarc.json"
  local before = read_settings(path)
  local settings = before and complete(before)
  local count = write_types(folder)
  print(("%s%s: %d files of types"):format(folder, TYPES, count))
  if not settings then
    say("%s is not plain JSON (or its workspace.library is no list): it was left as it is", path)
    say('add "%s" to its "workspace.library"', TYPES)
    return 1
  end
  fs.write(path, json.encode(settings, { indent = 2 }) .. "\n")
  print(path .. ": names them")
  return 0
end

return { run = run }
