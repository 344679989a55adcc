-- cmd/types.lua: the documentation as LuaCATS types for editors. Used by script/gendoc.lua and ctz setup.
-- SPDX-License-Identifier: MIT
local NOTE <const> = "-- Generated from the doc comments; do not edit."

local BASE <const> = [[

---A time in seconds, fractions allowed.
---@alias ctz.seconds number

---A size in bytes.
---@alias ctz.bytes integer

---What every failure raises.
---@class ctz.error
---@field kind ctz.error.kind
---@field message string
---@field op? string  the function as called
---@field hint? string  what to do
---@field at? string  file:line of the recipe
---@field target? string  what it was about
---@field code? string  the other side's own word
---@field status? integer  of an HTTP answer
---@field exit_code? integer  of a program
---@field stderr? string  of a program
---@field attempts? integer
---@field retry_after? ctz.seconds
---@field retryable? boolean
---@field cause? ctz.error
---@field others? any[]  errors that came later
]]

local function add(out, format, ...)
  out[#out + 1] = format:format(...)
end

local function comment(out, text)
  for line in (text .. "\n"):gmatch "(.-)\n" do
    add(out, "---%s", line)
  end
end

-- The parts of a text at commas outside of brackets.
local function split_list(text)
  local parts, depth, first = {}, 0, 1
  for at = 1, #text do
    local c = text:sub(at, at)
    if c:find "[%(%[{<]" then
      depth = depth + 1
    elseif c:find "[%)%]}>]" then
      depth = depth - 1
    elseif c == "," and depth == 0 then
      parts[#parts + 1] = text:sub(first, at - 1):match "^%s*(.-)%s*$"
      first = at + 1
    end
  end
  local last = text:sub(first):match "^%s*(.-)%s*$"
  if last ~= "" then
    parts[#parts + 1] = last
  end
  return parts
end

local function arguments_of(entry)
  local list = {}
  for _, word in ipairs(split_list((entry.arguments or "()"):sub(2, -2))) do
    local name = word:match "^%.%.%.$" or word:match "^[%a_][%w_]*"
    list[#list + 1] = name and { name = name, optional = word:find "%?$" ~= nil }
  end
  return list
end

-- ctz.fs.read has its options in the class ctz.fs.read.opts.
local function options_of(entry)
  local options = {}
  for _, param in ipairs(entry.params or {}) do
    local table_name, field = param.name:match "^([%w_]+)%.([%w_]+)$"
    if table_name then
      options[table_name] = options[table_name] or {}
      table.insert(options[table_name], { name = field, param = param })
    end
  end
  return options
end

local function class_name(entry, argument)
  return entry.name:gsub(":", ".") .. "." .. argument
end

local function add_option_classes(out, entry, options)
  for _, argument in ipairs(arguments_of(entry)) do
    local list = options[argument.name]
    if list then
      add(out, "\n---@class %s", class_name(entry, argument.name))
      for _, option in ipairs(list) do
        local param = option.param
        add(out, "---@field %s%s %s%s", option.name, param.optional and "?" or "", param.type,
          param.text and param.text ~= "" and "  " .. param.text or "")
      end
    end
  end
end

local function add_params(out, entry, options)
  local by_name = {}
  for _, param in ipairs(entry.params or {}) do
    by_name[param.name] = param
  end
  for _, argument in ipairs(arguments_of(entry)) do
    local param = by_name[argument.name]
    local kind = options[argument.name] and class_name(entry, argument.name) or param and param.type or "any"
    local text = param and param.text and param.text ~= "" and "  " .. param.text or ""
    add(out, "---@param %s%s %s%s", argument.name, argument.optional and "?" or "", kind, text)
  end
end

local return_types = { iterator = "fun(): any", error = "ctz.error" }

local function return_type(text)
  return return_types[text] or (text:gsub("%.%.%.%??$", " ..."))
end

local function add_returns(out, entry)
  if entry.returns and #entry.returns > 0 then
    for _, returned in ipairs(entry.returns) do
      local text = returned.text and returned.text ~= "" and " # " .. returned.text or ""
      add(out, "---@return %s%s", return_type(returned.type), text)
    end
    return
  end
  local result = entry.result and entry.result:gsub("%s+|%s+nil, .*$", "?")
  for _, kind in ipairs(split_list(result or "")) do
    add(out, "---@return %s", return_type(kind))
  end
end

local function add_function(out, entry, owner)
  local options = options_of(entry)
  add_option_classes(out, entry, options)
  out[#out + 1] = ""
  comment(out, entry.text or "")
  if entry.async then
    add(out, "---@async")
  end
  add_params(out, entry, options)
  add_returns(out, entry)
  local names = {}
  for i, argument in ipairs(arguments_of(entry)) do
    names[i] = argument.name
  end
  add(out, "function %s(%s) end", owner, table.concat(names, ", "))
end

local function add_field(out, entry, owner)
  out[#out + 1] = ""
  comment(out, entry.text or "")
  add(out, "---@type %s", entry.result or "any")
  add(out, "%s = nil", owner)
end

-- fs.read for ctz.fs.read on the page ctz.fs, with tables on the way: containers.get
local function add_entry(out, page, entry, made)
  local short = page:match "[%w_]+$"
  local inner = entry.name:sub(#page + 2)
  local path = short
  for part in inner:gmatch "([%w_]+)%." do
    path = path .. "." .. part
    if not made[path] then
      made[path] = true
      add(out, "\n%s = {}", path)
    end
  end
  local owner = short .. "." .. inner
  if entry.arguments then
    add_function(out, entry, owner)
  else
    add_field(out, entry, owner)
  end
end

local function add_methods(out, entries)
  local class
  for _, entry in ipairs(entries) do
    if entry.class then
      local short = entry.class:match "([%w_]+)$":lower()
      if entry.class ~= class then
        class = entry.class
        add(out, "\n---@class %s\nlocal %s = {}", class, short)
      end
      add_function(out, entry, short .. ":" .. entry.name:match ":([%w_]+)$")
    end
  end
end

local function add_kinds(out, kinds)
  add(out, "\n---What a recipe can branch on.\n---@alias ctz.error.kind")
  for _, kind in ipairs(kinds) do
    add(out, '---| "%s" # %s', kind.name, kind.text)
  end
end

local function page_text(data, page)
  local out, made, entries = {}, {}, {}
  for _, entry in ipairs(data.entries) do
    if entry.page == page.name then
      entries[#entries + 1] = entry
    end
  end
  local short = page.name:match "[%w_]+$"
  add(out, "---@meta %s\n%s", page.name, NOTE)
  if page.name == "ctz" then
    out[#out + 1] = BASE:gsub("\n$", "")
    add_kinds(out, data.kinds)
  end
  out[#out + 1] = ""
  comment(out, page.text or "")
  add(out, "---@class %s", page.name)
  if page.name == "ctz" then
    for _, other in ipairs(data.pages) do
      if other.name ~= "ctz" then
        add(out, "---@field %s %s", other.name:match "[%w_]+$", other.name)
      end
    end
  end
  add(out, "local %s = {}", short)
  for _, entry in ipairs(entries) do
    if not entry.class then
      add_entry(out, page.name, entry, made)
    end
  end
  add_methods(out, entries)
  add(out, "\nreturn %s", short)
  return table.concat(out, "\n") .. "\n"
end

--- File name -> text, for a folder of types: "ctz.lua", "ctz/fs.lua".
return function(data)
  local files = {}
  for _, page in ipairs(data.pages) do
    files[page.name:gsub("%.", "/") .. ".lua"] = page_text(data, page)
  end
  return files
end
