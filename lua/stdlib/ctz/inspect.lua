-- inspect.lua: any value as text that reads like Lua, for people.
-- SPDX-License-Identifier: MIT
--
-- Two steps: plan() walks the value, within the bounds, into texts and nodes; layout() sets a node
-- on one line where it fits and on several where it does not. No metamethod is called but a
-- userdata's __tostring.
local host = require "ctz.core.host"
local new_error = require("ctz.core.task").error

local ipairs, next, pcall, rawget, rawlen, tostring, type = ipairs, next, pcall, rawget, rawlen, tostring, type
local getinfo, getmetatable = debug.getinfo, debug.getmetatable
local error, tonumber = error, tonumber
local huge, math_type = math.huge, math.type
local byte, find, format, gsub, rep, sub = string.byte, string.find, string.format, string.gsub, string.rep, string.sub
local concat, move, sort = table.concat, table.move, table.sort
local utf8_codepoint, utf8_len, utf8_offset = utf8.codepoint, utf8.len, utf8.offset

local WIDTH <const>, DEPTH <const>, ITEMS <const> = 100, 8, 100
local STEP <const> = 2
local NARROW <const> = 20 -- a string shows at least so many characters
local TALL <const> = 10 -- lines that a string on its own may take

-- --- strings -----------------------------------------------------------------------------------

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape_byte(c)
  return escapes[c] or format("\\x%02x", byte(c))
end

-- C1 controls, line separators and what turns the direction of text: no terminal shall act on them.
local function escape_character(c)
  local code = utf8_codepoint(c)
  local hidden = code < 0xa0 or (code >= 0x200b and code <= 0x200f) or (code >= 0x2028 and code <= 0x202e)
    or (code >= 0x2060 and code <= 0x206f) or code == 0xfeff
  return hidden and format("\\u{%x}", code) or nil
end

local function quote(text)
  if not find(text, '[%c"\\\x7f-\xff]') then
    return '"' .. text .. '"'
  end
  if utf8_len(text) then
    return '"' .. gsub(gsub(text, '[%c"\\\x7f]', escape_byte), "[\xc2-\xf4][\x80-\xbf]+", escape_character) .. '"'
  end
  return '"' .. gsub(text, '[%c"\\\x7f-\xff]', escape_byte) .. '"'
end

-- The first `most` characters, quoted; how long it is when that is not all.
local function show_string(text, most)
  if #text <= most then
    return quote(text)
  end
  local cut = utf8_len(text, 1, -1) and utf8_offset(text, most + 1) or most + 1
  if cut > #text then
    return quote(text)
  end
  return format("%s... (%d bytes)", quote(sub(text, 1, cut - 1)), #text)
end

-- --- scalars -----------------------------------------------------------------------------------

local function show_number(value)
  if value ~= value then
    return "0/0"
  elseif value == huge or value == -huge then
    return value > 0 and "math.huge" or "-math.huge"
  elseif math_type(value) == "integer" then
    return format("%d", value)
  end
  local text
  for precision = 15, 17 do
    text = format("%." .. precision .. "g", value)
    if tonumber(text) == value then
      break
    end
  end
  return find(text, "[.e]") and text or text .. ".0"
end

local function show_function(value)
  local info = getinfo(value, "S")
  if info.what == "C" then
    return "<function>"
  end
  return format("<function %s:%d>", info.short_src, info.linedefined)
end

local function class_of(value)
  local metatable = getmetatable(value)
  local name = type(metatable) == "table" and rawget(metatable, "__name")
  return type(name) == "string" and name or nil
end

local function show_userdata(value)
  if class_of(value) == "ctz.secret" then
    return "***"
  end
  local ok, text = pcall(tostring, value)
  if not ok then
    return "<" .. (class_of(value) or "userdata") .. ">"
  end
  return (gsub(text, "[%c\x7f]", escape_byte))
end

local function show_scalar(value, most)
  local kind = type(value)
  if kind == "string" then
    return show_string(value, most)
  elseif kind == "number" then
    return show_number(value)
  elseif kind == "userdata" then
    return show_userdata(value)
  elseif kind == "function" then
    return show_function(value)
  elseif kind == "thread" then
    return "<thread>"
  end
  return tostring(value)
end

-- --- plan --------------------------------------------------------------------------------------

local reserved = {}
for word in
  ([[
  and break do else elseif end false for function goto if in local nil not or repeat return then true until while
]]):gmatch("%a+")
do
  reserved[word] = true
end

local function show_key(key, state)
  if type(key) == "string" and find(key, "^[%a_][%w_]*$") and not reserved[key] and #key <= state.width then
    return key .. " = "
  elseif type(key) == "table" then
    return "[<" .. (class_of(key) or "table") .. ">] = "
  end
  return "[" .. show_scalar(key, state.most) .. "] = "
end

-- The keys behind the list part: numbers, strings, then the rest, each in order.
local function sorted_keys(value, list_size)
  local numbers, strings, others = {}, {}, {}
  for key in next, value do
    local kind = type(key)
    if kind == "string" then
      strings[#strings + 1] = key
    elseif kind ~= "number" then
      others[#others + 1] = key
    elseif math_type(key) == "float" or key < 1 or key > list_size then
      numbers[#numbers + 1] = key
    end
  end
  sort(numbers)
  sort(strings)
  sort(others, function(a, b)
    local left, right = type(a), type(b)
    if left ~= right then
      return left < right
    end
    return left == "boolean" and b and not a
  end)
  return move(others, 1, #others, #strings + 1, strings), numbers
end

local plan

local function add(node, key, value, state, depth)
  if #node >= state.items then
    node.more = node.more + 1
    return
  end
  node[#node + 1] = { key = key ~= nil and show_key(key, state) or "", value = plan(value, state, depth + 1) }
end

local function plan_table(value, state, depth)
  local known = state.seen[value]
  if known and not (known.is_cut and depth < state.depth) then
    known.shared = true
    return { same_as = known }
  end
  local class = class_of(value)
  local is_list, is_object = class == "ctz.json.array", class == "ctz.json.object"
  local node = { more = 0, name = class and not is_list and not is_object and class .. " " or "" }
  state.seen[value] = node
  if next(value) == nil then
    node.empty = is_list and "json.array {}" or "{}"
    return node
  elseif depth >= state.depth then
    node.empty, node.is_cut = "{...}", true
    return node
  end
  local list_size = rawlen(value)
  for i = 1, list_size do
    add(node, nil, rawget(value, i), state, depth)
  end
  local others, numbers = sorted_keys(value, list_size)
  for _, keys in ipairs { numbers, others } do
    for _, key in ipairs(keys) do
      add(node, key, rawget(value, key), state, depth)
    end
  end
  return node
end

function plan(value, state, depth)
  if type(value) == "table" then
    return plan_table(value, state, depth)
  end
  return show_scalar(value, depth == 0 and state.width * TALL or state.most)
end

-- --- layout ------------------------------------------------------------------------------------

local function width_of(text)
  return utf8_len(text) or #text
end

-- "<1>" before a table that is shown again further on.
local function label_of(node, state)
  if not node.shared then
    return ""
  end
  if not node.id then
    state.last_id = state.last_id + 1
    node.id = state.last_id
  end
  return "<" .. node.id .. ">"
end

local function more_of(node)
  return node.more > 0 and format("... (%d more)", node.more) or nil
end

-- The node on one line, or nil when it needs more than `room` characters.
local function flat(node, state, room)
  if type(node) == "string" then
    return width_of(node) <= room and node or nil
  elseif node.same_as then
    return "<table " .. node.same_as.id .. ">"
  end
  local head = label_of(node, state) .. node.name
  if node.empty then
    return head .. node.empty
  end
  local parts, more = {}, more_of(node)
  room = room - #head - 2 - (more and #more + 2 or 0) -- the braces, less one comma
  for i, item in ipairs(node) do
    local text = room > 0 and flat(item.value, state, room)
    if not text then
      return nil
    end
    parts[i] = item.key .. text
    room = room - width_of(parts[i]) - 2
  end
  parts[#parts + 1] = more
  return room >= 0 and head .. "{ " .. concat(parts, ", ") .. " }" or nil
end

local function layout(node, state, indent, taken, out)
  local text = flat(node, state, state.room - indent - taken)
  if text or type(node) == "string" then
    out[#out + 1] = text or node
    return
  end
  local inner = indent + STEP
  local start = state.newline .. rep(" ", inner)
  out[#out + 1] = label_of(node, state) .. node.name .. "{"
  for i, item in ipairs(node) do
    out[#out + 1] = start .. item.key
    layout(item.value, state, inner, width_of(item.key) + 1, out)
    out[#out + 1] = (i < #node or node.more > 0) and "," or ""
  end
  local more = more_of(node)
  out[#out + 1] = more and start .. more or ""
  out[#out + 1] = state.newline .. rep(" ", indent) .. "}"
end

-- --- the function ------------------------------------------------------------------------------

local options = { "depth", "items", "newline", "width" }
local types = { depth = "number", items = "number", newline = "string", width = "number" }

local function usage(...)
  error(new_error { kind = "usage", message = format(...) }, 4)
end

local function check_options(opts)
  if type(opts) ~= "table" then
    usage("bad argument 'opts' to 'inspect': expected table, got %s", type(opts))
  end
  for name, value in next, opts do
    if types[name] and type(value) ~= types[name] then
      usage("bad argument 'opts.%s' to 'inspect': expected %s, got %s", name, types[name], type(value))
    elseif not types[name] then
      local near = type(name) == "string" and host.nearest(name, options)
      local advice = near and format("; did you mean '%s'?", near) or ""
      usage("unknown option '%s' to 'inspect'%s", tostring(name), advice)
    end
  end
end

--- ctz.inspect(value, opts?) -> string
--- Any value as text that reads like Lua: keys in order, one line where it fits, cut where it is too
--- much. A table that is shown twice, or contains itself, is labelled `<1>` and named `<table 1>`
--- afterwards. A secret is `***`, a JSON null is `null`.
--- @param value any
--- @param opts.width? integer  characters of a line, default 100
--- @param opts.depth? integer  tables inside of tables, default 8; deeper ones are `{...}`
--- @param opts.items? integer  items shown of each table, default 100
--- @param opts.newline? string  what ends a line, default a line feed; "" puts all on one line
--- @return string
--- @error usage an option is unknown
--- @example assert(ctz.inspect({name = "web", ports = {80, 443}}) == '{ name = "web", ports = { 80, 443 } }')
--- @example local t = {} t.own = t assert(ctz.inspect(t) == "<1>{ own = <table 1> }")
return function(value, opts)
  opts = opts or {}
  check_options(opts)
  local width, newline = opts.width or WIDTH, opts.newline or "\n"
  local state = {
    seen = {}, last_id = 0, width = width, most = width > NARROW and width or NARROW,
    depth = opts.depth or DEPTH, items = opts.items or ITEMS,
    newline = newline, room = newline == "" and huge or width,
  }
  local out = {}
  layout(plan(value, state, 0), state, 0, 0, out)
  return concat(out)
end
