-- docker/simulate/shell/expand.lua: words of the simulated shell as texts.
-- SPDX-License-Identifier: MIT
local unsupported = require("ctz.docker.simulate.program_options").unsupported

local error, ipairs, math, tonumber, tostring = error, ipairs, math, tonumber, tostring
local concat = table.concat
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub

-- --- variables -----------------------------------------------------------------------------------

-- The text of a variable or a parameter, nil when it is not set.
local function get(shell, name)
  if find(name, "^%d+$") then
    return shell.parameters[tonumber(name)]
  elseif name == "?" then
    return tostring(shell.code)
  elseif name == "#" then
    return tostring(#shell.parameters)
  elseif name == "$" then
    return tostring(shell.io.process.is_first and 1 or 7)
  elseif name == "!" then
    return shell.last_background and "8" or ""
  elseif name == "@" or name == "*" then
    return #shell.parameters > 0 and concat(shell.parameters, " ") or nil
  end
  return shell.io.env[name]
end

-- --- arithmetic ------------------------------------------------------------------------------------

local LEVELS <const> = {
  { "||" }, { "&&" }, { "==", "!=" }, { "<=", ">=", "<", ">" }, { "+", "-" }, { "*", "/", "%" },
}

local function truth(value)
  return value and 1 or 0
end

local operations <const> = {
  ["||"] = function(a, b)
    return truth(a ~= 0 or b ~= 0)
  end,
  ["&&"] = function(a, b)
    return truth(a ~= 0 and b ~= 0)
  end,
  ["=="] = function(a, b)
    return truth(a == b)
  end,
  ["!="] = function(a, b)
    return truth(a ~= b)
  end,
  ["<="] = function(a, b)
    return truth(a <= b)
  end,
  [">="] = function(a, b)
    return truth(a >= b)
  end,
  ["<"] = function(a, b)
    return truth(a < b)
  end,
  [">"] = function(a, b)
    return truth(a > b)
  end,
  ["+"] = function(a, b)
    return a + b
  end,
  ["-"] = function(a, b)
    return a - b
  end,
  ["*"] = function(a, b)
    return a * b
  end,
  ["/"] = function(a, b)
    return b == 0 and error({ syntax = "divide by zero" }, 0) or math.tointeger((a - math.fmod(a, b)) // b)
  end,
  ["%"] = function(a, b)
    return b == 0 and error({ syntax = "divide by zero" }, 0) or math.fmod(a, b)
  end,
}

local function arithmetic(shell, text)
  local at = 1
  local parse

  local function skip()
    at = match(text, "^%s*()", at)
  end

  local function primary()
    skip()
    local number, name, sign = match(text, "^%d+", at), match(text, "^%$?[%a_][%w_]*", at), match(text, "^[-+!(]", at)
    if number then
      at = at + #number
      return math.tointeger(tonumber(number))
    elseif name then
      at = at + #name
      return math.tointeger(tonumber(get(shell, (gsub(name, "^%$", ""))) or 0)) or 0
    elseif not sign then
      return unsupported("$((" .. text .. ")) of the shell")
    end
    at = at + 1
    if sign == "(" then
      local value = parse(1)
      skip()
      at = at + 1
      return value
    end
    local value = primary()
    return sign == "-" and -value or sign == "!" and truth(value == 0) or value
  end

  function parse(level)
    if level > #LEVELS then
      return primary()
    end
    local left = parse(level + 1)
    while true do
      skip()
      local found
      for _, operator in ipairs(LEVELS[level]) do
        if not found and sub(text, at, at + #operator - 1) == operator then
          found = operator
        end
      end
      if not found then
        return left
      end
      at = at + #found
      left = operations[found](left, parse(level + 1))
    end
  end

  local value = parse(1)
  skip()
  if at <= #text then
    unsupported("$((" .. text .. ")) of the shell")
  end
  return tostring(value)
end

-- --- words -------------------------------------------------------------------------------------

local text_of

local function variable(shell, part)
  local value, operator = get(shell, part.name), part.operator
  if operator == "#" then
    return tostring(#(value or ""))
  end
  local is_set = value ~= nil and not (sub(operator, 1, 1) == ":" and value == "")
  local what = sub(operator, -1)
  if what == "+" then
    return is_set and text_of(shell, part.word) or ""
  elseif is_set or what == "" then
    return value or ""
  elseif what == "?" then
    error({ syntax = part.name .. ": " .. text_of(shell, part.word), code = 2 }, 0)
  end
  value = text_of(shell, part.word)
  if what == "=" then
    shell.io.env[part.name] = value
  end
  return value
end

local function part_text(shell, part)
  if part.kind == "text" then
    return part.text
  elseif part.kind == "variable" then
    return variable(shell, part)
  elseif part.kind == "arithmetic" then
    return arithmetic(shell, part.text)
  end
  return shell.substitute(part.text)
end

-- A word as one text: assignments, redirections.
function text_of(shell, word)
  local texts = {}
  for i, part in ipairs(word) do
    texts[i] = part_text(shell, part)
  end
  return concat(texts)
end

-- Adds what an unquoted expansion gives: it is split at spaces.
local function add_split(fields, current, text)
  if find(text, "^%s") and current then
    fields[#fields + 1], current = current, nil
  end
  local pieces = {}
  for piece in text:gmatch "%S+" do
    pieces[#pieces + 1] = piece
  end
  for i, piece in ipairs(pieces) do
    if i > 1 then
      fields[#fields + 1], current = current, nil
    end
    current = (current or "") .. piece
  end
  if find(text, "%s$") and current then
    fields[#fields + 1], current = current, nil
  end
  return current
end

local function add_parameters(shell, fields, current)
  for i, parameter in ipairs(shell.parameters) do
    if i > 1 then
      fields[#fields + 1], current = current, nil
    end
    current = (current or "") .. parameter
  end
  return current
end

-- Words as fields.
local function fields_of(shell, words)
  local fields = {}
  for _, word in ipairs(words) do
    local current
    for _, part in ipairs(word) do
      if part.kind == "text" then
        if not part.quoted and find(part.text, "[*?]") then
          unsupported "patterns of file names"
        end
        current = (current or "") .. part.text
      elseif part.kind == "variable" and part.name == "@" and part.quoted then
        current = add_parameters(shell, fields, current)
      elseif part.quoted then
        current = (current or "") .. part_text(shell, part)
      else
        current = add_split(fields, current, part_text(shell, part))
      end
    end
    fields[#fields + 1] = current
  end
  return fields
end

return { text_of = text_of, fields_of = fields_of }
