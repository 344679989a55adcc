-- cmd/repl_complete.lua: what Tab adds at the prompt of ctz repl.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local keywords = require("ctz.cmd.repl_chunk").keywords

local SHOWN_MAX <const> = 500 -- names in a list

local function doctext()
  return require "ctz.cmd.doctext"
end

-- --- names -----------------------------------------------------------------------------------------

-- The names that a value offers after "." or ":": its own keys and those of its metatable's __index.
local function add_names(names, value, methods_only)
  for _ = 1, 10 do
    if type(value) == "table" then
      for key, field in next, value do
        if type(key) == "string" and key:find "^[%a_][%w_]*$" and (not methods_only or type(field) == "function") then
          names[key] = true
        end
      end
    end
    local metatable = debug.getmetatable(value)
    value = type(metatable) == "table" and rawget(metatable, "__index") or nil
    if value == nil then
      return
    end
  end
end

-- The value of a.b.c, or nil. Calls nothing but ctz's own loading of modules.
local function resolve(path, env)
  local value = env
  for name in path:gmatch "[%a_][%w_]*" do
    if value == env then
      value = rawget(env, name)
      if value == nil then
        value = rawget(_G, name)
      end
    elseif value == ctz then
      value = ctz.try(function()
        return ctz[name]
      end)
    elseif type(value) == "table" then
      value = rawget(value, name)
    else
      return nil
    end
    if value == nil then
      return nil
    end
  end
  return value
end

local function add_documented(names, prefix)
  for _, name in ipairs(doctext().names()) do
    local rest = name:sub(1, #prefix) == prefix and name:sub(#prefix + 1)
    local word = rest and rest:match "^[%a_][%w_]*"
    if word then
      names[word] = true
    end
  end
end

local function add_globals(names, env)
  add_names(names, env)
  add_names(names, _G)
  for keyword in pairs(keywords) do
    names[keyword] = true
  end
end

-- The modules that a require may name: ctz's own and those that are loaded.
local function add_modules(names)
  for name in pairs(package.loaded) do
    if type(name) == "string" and not name:find "^ctz%.c[om][rd]e?" and name ~= "_G" then
      names[name] = true
    end
  end
  for _, name in ipairs(doctext().names()) do
    local module = name:match "^(ctz%.[%w_]+)[.:]" or name:match "^ctz$"
    if module then
      names[module] = true
    end
  end
end

-- What stands before the cursor: the names that are possible there, and how much of one there is.
local function candidates(line, env)
  local names = {}
  local start = line:match "require%s*%(?%s*[\"']([%w_.-]*)$"
  if start then
    add_modules(names)
    return names, start
  end
  start = line:match "^%s*%?%s*([%w_.:]*)$"
  if start then
    for _, name in ipairs(doctext().names()) do
      names[name] = true
    end
    return names, start
  end
  local path, separator
  path, separator, start = line:match "([%a_][%w_.]*)([.:])([%a_]?[%w_]*)$"
  if path then
    local value = resolve(path, env)
    if value ~= nil then
      add_names(names, value, separator == ":")
    end
    if path:find "^ctz%f[^%w_]" then
      add_documented(names, path .. separator)
    end
    return names, start
  end
  start = line:match "[%a_][%w_]*$" or ""
  if not line:find("[.:]%s*" .. start .. "$") then
    add_globals(names, env)
  end
  return names, start
end

-- --- what is shown ---------------------------------------------------------------------------------

local function common_start(words)
  local first, last = words[1], words[#words] -- sorted: these two differ most
  local length = 0
  while length < #first and first:byte(length + 1) == last:byte(length + 1) do
    length = length + 1
  end
  return first:sub(1, length)
end

-- Rows of names that run down the columns, as `ls` has them.
local function table_of(words, columns)
  local shown = math.min(#words, SHOWN_MAX)
  local widest = 0
  for i = 1, shown do
    widest = math.max(widest, #words[i])
  end
  local across = math.max(1, columns // (widest + 2))
  local down = (shown + across - 1) // across
  local lines = {}
  for row = 1, down do
    local cells = {}
    for i = row, shown, down do
      cells[#cells + 1] = words[i] .. (" "):rep(widest - #words[i])
    end
    lines[row] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  if #words > shown then
    lines[#lines + 1] = ("... and %d more"):format(#words - shown)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- complete(line, env, columns): what to insert at the end of the line, and text to show when that
-- leaves a choice.
local function complete(line, env, columns)
  local names, start = candidates(line, env)
  local words = {}
  for name in pairs(names) do
    if name:sub(1, #start) == start then
      words[#words + 1] = name
    end
  end
  if #words == 0 then
    return nil
  end
  table.sort(words)
  local insert = common_start(words):sub(#start + 1)
  if insert == "" and #words > 1 then
    return "", table_of(words, columns)
  end
  return insert
end

return { complete = complete }
