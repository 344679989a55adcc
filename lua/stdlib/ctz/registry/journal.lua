-- registry/journal.lua: where uploads stand, on disk, so that another process can go on with them.
-- SPDX-License-Identifier: MIT
--
-- One file an upload, in $XDG_STATE_HOME/ctz/uploads, for its owner only: the address of a session is a
-- right to write. Who takes an entry removes it, so two processes never write to one session. Downloads
-- need no entry: what came of a blob stands beside its place.
local env = require "ctz.env"
local fs = require "ctz.fs"
local hash = require "ctz.hash"
local host = require "ctz.core.host"
local json = require "ctz.json"
local time = require "ctz.time"

local math_type, pcall, type = math.type, pcall, type

local AGE_S <const> = 86400 -- registries forget sessions after some time
local ENTRY_BYTES <const> = 65536

local function folder()
  local ok, state, home = pcall(function()
    return env.XDG_STATE_HOME, env.HOME
  end)
  if not ok then -- --allow does not let the run see them
    return nil
  elseif state and state:find "^/" then
    return state .. "/ctz/uploads"
  end
  return home and home:find "^/" and home .. "/.local/state/ctz/uploads" or nil
end

local function path_of(name)
  local place = folder()
  return place and ("%s/%s.json"):format(place, hash.sha256(name)), place
end

local function read_entry(path, name)
  local stat = fs.stat(path)
  if not stat or stat.size_bytes > ENTRY_BYTES then
    return nil
  end
  local ok, entry = pcall(json.decode, fs.read(path))
  local is_entry = ok and type(entry) == "table" and entry.name == name and type(entry.url) == "string"
    and math_type(entry.time) == "integer"
  return is_entry and time.now() - entry.time < AGE_S and entry.url or nil
end

-- take(name) -> URL of the session, or nil. The entry is gone then. Nothing here raises but a cancel: an
-- upload works without its journal too.
local function take(name)
  local path = path_of(name)
  if not path or host.mode().dry_run then
    return nil
  end
  local ok, url = pcall(read_entry, path, name)
  local removed = pcall(fs.remove, path) -- by one of those who read it
  return ok and removed and url or nil
end

-- put(name, url): the session of that upload.
local function put(name, url)
  local path, place = path_of(name)
  if path and not host.mode().dry_run then
    pcall(function()
      fs.mkdir(place, { parents = true, mode = "0700" })
      fs.write(path, json.encode { name = name, url = url, time = time.now() // 1 | 0 }, { mode = "0600" })
    end)
  end
end

-- drop(name): it has ended.
local function drop(name)
  local path = path_of(name)
  if path and not host.mode().dry_run then
    pcall(fs.remove, path)
  end
end

return { take = take, put = put, drop = drop }
