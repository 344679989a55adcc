-- boot.lua: require as ctz has it. Runs once, before any other Lua.
-- SPDX-License-Identifier: MIT
--
-- Order: ctz's own modules, the recipe's folder, its lua_modules, LUA_PATH_5_4, then C modules of
-- the system (lua-cjson and its like). Text only. A module may wait at its top level; a second task
-- that requires it meanwhile waits for the first.
local core = ...
local loaded, searchpath = package.loaded, package.searchpath
local open, select, type, error, rawget = io.open, select, type, error, rawget
local config_cpath, environment_path = package.cpath, package.path
local door, stdlib, text, may_read = core.door, core.stdlib, core.text, core.loadfile

-- --- text only ---------------------------------------------------------------------------------

local real_load = load

local function only_text(mode)
  if mode == "b" then
    error("compiled Lua is not loaded here; only source text is", 3)
  end
  return "t"
end

--- load as in Lua 5.4, for text only.
function load(chunk, name, mode, ...)
  mode = only_text(mode)
  if select("#", ...) == 0 then
    return real_load(chunk, name, mode)
  end
  return real_load(chunk, name, mode, (...))
end

local function read_file(path)
  local file, message = open(path, "rb")
  if not file then
    return nil, message
  end
  local content, failure = file:read("a")
  file:close()
  return content, failure
end

-- The file as a function, as loadfile has it; nobody is asked.
local function load_file(path, ...)
  local content, message = read_file(path)
  if not content then
    return nil, "cannot open " .. message
  end
  if select("#", ...) == 0 then
    return text(content, "@" .. path)
  end
  return text(content, "@" .. path, (...))
end

--- loadfile as in Lua 5.4, for text only.
function loadfile(path, mode, ...)
  only_text(mode)
  may_read(path)
  return load_file(path, ...)
end

function dofile(path)
  local chunk, message = loadfile(path)
  if not chunk then
    error(message, 0)
  end
  return chunk()
end

-- --- require -----------------------------------------------------------------------------------

local task, channel -- doors, opened by the first require that has to wait

-- Finds a module; returns a function that makes it and where it was found, or nil and the places.
local function find(name)
  local door_name = name:match("^ctz%.core%.([%a_]+)$")
  if door_name then
    return function()
      return door(door_name)
    end, "door"
  end
  if name == "ctz" or name:sub(1, 4) == "ctz." then
    local chunk = stdlib(name)
    if chunk then
      return chunk, "ctz"
    end
    return nil, "\n  no module of ctz has that name"
  end
  local preload = rawget(package.preload, name)
  if preload then
    return preload, ":preload:"
  end
  local path, places = searchpath(name, package.path)
  if path then
    local chunk, message = load_file(path)
    if not chunk then
      error(message, 0)
    end
    return chunk, path
  end
  local c_path, c_places = searchpath(name, package.cpath)
  if c_path then
    local open_function, message = package.loadlib(c_path, "luaopen_" .. name:gsub("^.*%-", ""):gsub("%.", "_"))
    if not open_function then
      error(("module '%s' in %s: %s"):format(name, c_path, message), 0)
    end
    return open_function, c_path
  end
  return nil, "\n  " .. (places .. "\n" .. c_places):gsub("\n%s*", "\n  "):gsub("^%s*", "")
end

local loading = {} -- name -> {task=, done=channel} while its top level runs

local function wait_for(name, other)
  if other.task == task.current() then
    error(("module '%s' requires itself, directly or by way of another"):format(name), 3)
  end
  other.done:receive()
end

--- require as in Lua 5.4, for ctz's modules, the recipe's own and the system's.
function require(name)
  if type(name) ~= "string" then
    error("bad argument 'name' to 'require': expected string, got " .. type(name), 2)
  end
  while loading[name] do
    wait_for(name, loading[name])
  end
  local value = loaded[name]
  if value ~= nil then
    return value
  end
  local make, place = find(name)
  if not make then
    error(("module '%s' not found:%s"):format(name, place), 2)
  end
  if place == "door" or place == "ctz" then -- these never wait
    value = make(name, place)
    if value == nil then
      value = true
    end
    loaded[name] = value
    return value, place
  end
  task = task or door("task")
  channel = channel or door("channel")
  local mine <close> = setmetatable({ task = task.current(), done = channel.channel() }, {
    __close = function(self)
      loading[name] = nil
      self.done:close()
    end,
  })
  loading[name] = mine
  value = make(name, place)
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], place
end

--- Sets where modules of a recipe are looked for.
function core.set_folder(folder)
  local own = folder .. "/?.lua;" .. folder .. "/?/init.lua"
  local rocks = folder .. "/lua_modules"
  local modules = rocks .. "/?.lua;" .. rocks .. "/?/init.lua;" .. rocks .. "/share/lua/5.4/?.lua;"
    .. rocks .. "/share/lua/5.4/?/init.lua"
  package.path = own .. ";" .. modules .. ";" .. environment_path
  package.cpath = rocks .. "/lib/lua/5.4/?.so;" .. config_cpath
end

loaded["ctz.core.load"] = core
