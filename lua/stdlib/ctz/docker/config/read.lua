-- docker/config/read.lua: the values of a container's description: what every field is made of.
-- SPDX-License-Identifier: MIT
--
-- A reader takes (value, where, problems) and returns the value in its one form, or nil after it has
-- noted what is wrong. Readers are not called with nil.
local json = require "ctz.json"
local options = require "ctz.options"
local sorted_keys = require("ctz.problems").sorted_keys
local units = require "ctz.units"

local concat, math_type, tointeger = table.concat, math.type, math.tointeger
local ipairs, next, pairs, tonumber, tostring, type = ipairs, next, pairs, tonumber, tostring, type
local is_secret = options.is_secret

local SHOWN_BYTES <const> = 80

-- How a wrong value is shown.
local function show(value)
  if is_secret(value) then
    return "a secret"
  elseif type(value) == "string" then
    return ("%q"):format(#value > SHOWN_BYTES and value:sub(1, SHOWN_BYTES) .. "..." or value):gsub("\\\n", "\\n")
  elseif type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  return type(value)
end

local function refuse(problems, where, expected, value)
  problems:add("usage", where, ("expected %s, got %s"):format(expected, (show(value))))
end

local function has_nul(text)
  return text:find("\0", 1, true) ~= nil
end

-- A number is taken for its text, so that {"sleep", 5} works.
local function text_of(value)
  if math_type(value) == "float" and tointeger(value) then
    return tostring(tointeger(value))
  end
  return type(value) == "number" and value - value == 0 and tostring(value) or value
end

-- Any text without a NUL byte, also an empty one.
local function text(value, where, problems)
  value = text_of(value)
  if type(value) ~= "string" then
    return refuse(problems, where, "a text", value)
  elseif has_nul(value) then
    return problems:usage(where, "it holds a NUL byte")
  end
  return value
end

local function filled(value, where, problems)
  value = text(value, where, problems)
  if value == "" then
    return problems:usage(where, "it is empty")
  end
  return value
end

local function boolean(value, where, problems)
  if type(value) ~= "boolean" then
    return refuse(problems, where, "true or false", value)
  end
  return value
end

local function integer(min, max)
  local expected = max and ("a whole number, %d to %d"):format(min, max) or ("a whole number, %d or more"):format(min)
  return function(value, where, problems)
    local number = type(value) == "string" and value:find "^%-?%d+$" and tonumber(value) or value
    number = math_type(number) and tointeger(number)
    if not number or number < min or max and number > max then
      return refuse(problems, where, expected, value)
    end
    return number
  end
end

-- A reader out of one of units.lua.
local function unit(read)
  return function(value, where, problems)
    local result, expected = read(value)
    if not result then
      return refuse(problems, where, expected, value)
    end
    return result
  end
end

local bytes = unit(units.bytes)

-- "1m30s" or 90 -> 90; at least a millisecond unless 0, which inherits.
local function seconds(value, where, problems)
  local nanoseconds = unit(units.nanoseconds)(value, where, problems)
  if nanoseconds and nanoseconds ~= 0 and nanoseconds < 1000000 then
    return problems:usage(where, "expected at least 1ms, got %s", (show(value)))
  end
  return nanoseconds and (nanoseconds % 1000000000 == 0 and nanoseconds // 1000000000 or nanoseconds / 1e9)
end

-- "1.5" or 1.5 -> 1.5
local function cpus(value, where, problems)
  local nanos = unit(units.nano_cpus)(value, where, problems)
  return nanos and (nanos % 1000000000 == 0 and nanos // 1000000000 or nanos / 1e9)
end

-- A text that matches one of the patterns.
local function like(expected, ...)
  local patterns = { ... }
  return function(value, where, problems)
    value = text(value, where, problems)
    for _, pattern in ipairs(value and patterns or {}) do
      if value:find(pattern) then
        return value
      end
    end
    return value and refuse(problems, where, expected, value)
  end
end

local function choice(...)
  local choices, known = { ... }, {}
  for _, name in ipairs(choices) do
    known[name] = true
  end
  local expected = '"' .. concat(choices, '", "', 1, #choices - 1) .. '" or "' .. choices[#choices] .. '"'
  return function(value, where, problems)
    if known[value] then
      return value
    end
    return refuse(problems, where, #choices == 1 and '"' .. choices[1] .. '"' or expected, value)
  end
end

local function absolute(value, where, problems)
  value = filled(value, where, problems)
  if value and value:sub(1, 1) ~= "/" then
    return refuse(problems, where, "an absolute path", value)
  end
  return value
end

-- --- lists and maps ----------------------------------------------------------------------------

-- Is it a list? Tells of the first key that has no place in one.
local function is_list(value, where, problems, what)
  if type(value) ~= "table" then
    refuse(problems, where, what or "a list", value)
    return false
  end
  local count = 0
  for key in pairs(value) do
    if math_type(key) ~= "integer" or key < 1 then
      problems:usage(where, "expected %s, got a field %s", what or "a list", (show(key)))
      return false
    end
    count = count + 1
  end
  for i = 1, count do
    if value[i] == nil then
      problems:usage(("%s[%d]"):format(where, i), "it is nil, and others follow")
      return false
    end
  end
  return true
end

-- A list whose items read(item, where, problems) gives; a single text is a list of one.
local function list(read)
  return function(value, where, problems)
    if type(value) == "string" or type(value) == "number" then
      value = { value }
    end
    if not is_list(value, where, problems) then
      return nil
    end
    local result = json.array {}
    for i, item in ipairs(value) do
      result[#result + 1] = read(item, ("%s[%d]"):format(where, i), problems)
    end
    return result
  end
end

-- {A = "1"} or {"A=1"} -> {A = "1"}
local function map(read)
  read = read or text
  return function(value, where, problems)
    if type(value) ~= "table" then
      return refuse(problems, where, "a table of names and values", value)
    end
    local result = json.object {}
    for _, key in ipairs(sorted_keys(value)) do
      local at, name, item = ("%s[%s]"):format(where, tostring(key)), key, value[key]
      if math_type(key) == "integer" and type(item) == "string" then
        name, item = item:match "^([^=]*)=?(.*)$"
      elseif type(key) == "string" then
        at = where .. "." .. key
      end
      if type(name) ~= "string" or name == "" or has_nul(name) or name:find("=", 1, true) then
        problems:usage(at, "expected a name and a value: {name = \"value\"} or {\"name=value\"}")
      elseif result[name] ~= nil then
        problems:usage(at, "%s is given twice", name)
      else
        result[name] = read(item, at, problems)
      end
    end
    return result
  end
end

-- The fields of a table: {{name, reader}, ...}. `required`: names.
local function record(fields, what, ...)
  local names, readers, required = {}, {}, { ... }
  for i, field in ipairs(fields) do
    names[i], readers[field[1]] = field[1], field[2]
  end
  return function(value, where, problems)
    if type(value) ~= "table" then
      return refuse(problems, where, what, value)
    end
    problems:check_keys(value, names, where)
    local result = {}
    for _, name in ipairs(names) do
      if value[name] ~= nil then
        result[name] = readers[name](value[name], where .. "." .. name, problems)
      end
    end
    for _, name in ipairs(required) do
      if value[name] == nil then
        problems:usage(where, "it needs %s", name)
        return nil
      end
    end
    return result
  end
end

-- --- addresses ---------------------------------------------------------------------------------

local function is_ipv4(address)
  local parts = { address:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$" }
  for _, part in ipairs(parts) do
    if #part > 3 or tonumber(part) > 255 then
      return false
    end
  end
  return #parts == 4
end

local function is_ipv6(address)
  local head, tail = address:match "^(.*)::(.*)$"
  if head and (head:find("::", 1, true) or tail:find("::", 1, true) or tail:sub(1, 1) == ":") then
    return false
  end
  local count = 0
  for _, half in ipairs { head or address, tail } do
    for group in (half == "" and "" or half .. ":"):gmatch "([^:]*):" do
      if group:find "^%x%x?%x?%x?$" then
        count = count + 1
      elseif is_ipv4(group) then
        count = count + 2
      else
        return false
      end
    end
  end
  return head and count < 8 or count == 8
end

local function is_ip(address)
  return is_ipv4(address) or is_ipv6(address)
end

local function ip(test, expected)
  return function(value, where, problems)
    if type(value) ~= "string" or not test(value) then
      return refuse(problems, where, expected, value)
    end
    return value
  end
end

local function mac(value, where, problems)
  if type(value) ~= "string" or not value:find "^%x%x[:-]%x%x[:-]%x%x[:-]%x%x[:-]%x%x[:-]%x%x$" then
    return refuse(problems, where, "a MAC address such as \"92:d0:c6:0a:29:33\"", value)
  end
  return (value:gsub("-", ":"):lower())
end

-- --- texts of options --------------------------------------------------------------------------

-- One field of a line of comma separated values, as --mount and --network read them (RFC 4180).
local function csv(field)
  if field:find '[,"\r\n]' or field:find "^%s" then
    return '"' .. field:gsub('"', '""') .. '"'
  end
  return field
end

-- A line of comma separated values as a list; nil when a quote is open or stands in a wrong place.
local function split_csv(line)
  local fields, at = {}, 1
  repeat
    local quoted, stop = line:match('^"(.-)"()', at)
    while quoted and line:sub(stop, stop) == '"' do -- "" is a quote
      local more, next_stop = line:match('^(.-)"()', stop + 1)
      if not more then
        return nil
      end
      quoted, stop = quoted .. '"' .. more, next_stop
    end
    if quoted then
      fields[#fields + 1] = quoted
    else
      fields[#fields + 1], stop = line:match('^([^,"]*)()', at)
    end
    local separator = line:sub(stop, stop)
    if separator ~= "" and separator ~= "," then
      return nil
    end
    at = stop + 1
  until separator == ""
  return fields
end

-- "/dev/sda" in the shell's own quotes.
local function quote_word(word)
  if word ~= "" and not word:find "[^%w@%%+=:,./_-]" then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function quote_words(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = quote_word(word)
  end
  return concat(quoted, " ")
end

-- 1.5 -> "1.5", 2 -> "2"
local function number_text(number)
  return (("%.9f"):format(number):gsub("0+$", ""):gsub("%.$", ""))
end

local function is_empty(value)
  return next(value) == nil
end

-- sorted_pairs(map): by name.
local function sorted_pairs(value)
  local keys, i = sorted_keys(value), 0
  return function()
    i = i + 1
    return keys[i], value[keys[i]]
  end
end

-- A list or a map that its owner may change; other values as they are.
local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = json.is_array(value) and json.array {} or json.object {}
  for key, item in pairs(value) do
    result[key] = item
  end
  return result
end

return {
  absolute = absolute,
  boolean = boolean,
  bytes = bytes,
  choice = choice,
  cpus = cpus,
  copy = copy,
  csv = csv,
  filled = filled,
  has_nul = has_nul,
  integer = integer,
  ip = ip,
  is_empty = is_empty,
  is_ip = is_ip,
  is_ipv4 = is_ipv4,
  is_ipv6 = is_ipv6,
  is_list = is_list,
  is_secret = is_secret,
  like = like,
  list = list,
  mac = mac,
  map = map,
  number_text = number_text,
  quote_words = quote_words,
  record = record,
  refuse = refuse,
  seconds = seconds,
  show = show,
  sorted_pairs = sorted_pairs,
  split_csv = split_csv,
  text = text,
  text_of = text_of,
}
