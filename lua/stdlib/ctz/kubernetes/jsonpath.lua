-- kubernetes/jsonpath.lua: the part of kubectl's JSONPath that names values of an object.
-- SPDX-License-Identifier: MIT
-- Source: k8s.io/client-go/util/jsonpath; "JSONPath Support" of the documentation of kubectl.
local new_error = require("ctz.core.task").error
local json = require "ctz.json"

local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable
local tonumber, tostring, type = tonumber, tostring, type

local HINT <const> = "as in {.status.phase}, {.items[*].kind}, {.status.conditions[?(@.type==\"Ready\")].status}"

local function fail(op, text, at, why)
  error(new_error {
    kind = "usage", op = op, hint = HINT,
    message = ("bad JSONPath '%s' at %q: %s"):format(text, text:sub(at), why),
  }, 0)
end

-- --- steps: each is a function(value, found) that appends what it finds -------------------------

local function field(name)
  return function(value, found)
    if type(value) == "table" then
      found[#found + 1] = value[name]
    end
  end
end

local function every(value, found)
  if type(value) ~= "table" then
    return
  elseif #value > 0 then
    for _, one in ipairs(value) do
      found[#found + 1] = one
    end
    return
  end
  for _, one in pairs(value) do
    found[#found + 1] = one
  end
end

-- From 0 on; a negative one counts from the end.
local function index(number)
  return function(value, found)
    if type(value) == "table" then
      found[#found + 1] = value[number < 0 and #value + number + 1 or number + 1]
    end
  end
end

local COMPARE <const> = {
  ["=="] = function(left, right) return left == right end,
  ["!="] = function(left, right) return left ~= right end,
}

local function literal(text)
  local quoted = text:match '^"(.*)"$' or text:match "^'(.*)'$"
  if quoted then
    return quoted
  elseif text == "true" or text == "false" then
    return text == "true"
  end
  return tonumber(text)
end

local find

local function filter(path, compare, wanted)
  return function(value, found)
    for _, one in ipairs(type(value) == "table" and value or {}) do
      for _, seen in ipairs(find(path, one)) do
        if not compare or compare(seen, wanted) then
          found[#found + 1] = one
          break
        end
      end
    end
  end
end

-- --- reading -----------------------------------------------------------------------------------

local parse_steps

local function read_filter(op, text, at, inner)
  local path, sign, right = inner:match "^@(.-)%s*([=!]=)%s*(.-)%s*$"
  path = path or inner:match "^@(.-)%s*$"
  if not path then
    fail(op, text, at, "a filter begins with @")
  end
  local wanted = nil
  if right then
    wanted = literal(right)
    if wanted == nil then
      fail(op, text, at, "compare with \"text\", a number, true or false")
    end
  end
  return filter(parse_steps(op, path), COMPARE[sign], wanted)
end

local function read_bracket(op, text, at)
  local rest = text:sub(at)
  local inner, stop = rest:match "^%[%?%((.-)%)%]()"
  if inner then
    return read_filter(op, text, at, inner), at + stop - 1
  end
  inner, stop = rest:match "^%[([^%]]*)%]()"
  if not inner then
    fail(op, text, at, "the bracket is not closed")
  elseif inner == "*" then
    return every, at + stop - 1
  elseif inner:find "^%-?%d+$" then
    return index(tonumber(inner)), at + stop - 1
  end
  local name = inner:match '^"(.*)"$' or inner:match "^'(.*)'$"
  if not name then
    fail(op, text, at, "expected a number, * or a quoted name")
  end
  return field(name), at + stop - 1
end

-- A name may have escaped dots: .metadata.annotations.example\.com/name
local function read_name(op, text, at)
  local stop = at + 1
  while stop <= #text do
    local letter = text:sub(stop, stop)
    if letter == "\\" then
      stop = stop + 1
    elseif letter == "." or letter == "[" then
      break
    end
    stop = stop + 1
  end
  local name = text:sub(at + 1, stop - 1):gsub("\\(.)", "%1")
  if name == "" and text:sub(stop, stop) ~= "[" then
    fail(op, text, at, "a name is missing")
  end
  return name == "*" and every or name ~= "" and field(name) or nil, stop
end

function parse_steps(op, text)
  local steps, at = {}, 1
  while at <= #text do
    local letter, step = text:sub(at, at), nil
    if letter == "." then
      step, at = read_name(op, text, at)
    elseif letter == "[" then
      step, at = read_bracket(op, text, at)
    else
      fail(op, text, at, "expected . or [")
    end
    steps[#steps + 1] = step
  end
  return steps
end

function find(steps, value)
  local values = { value }
  for _, step in ipairs(steps) do
    local found = {}
    for _, one in ipairs(values) do
      step(one, found)
    end
    values = found
  end
  return values
end

-- --- values ------------------------------------------------------------------------------------

-- As kubectl prints one.
local function text_of(value)
  if value == json.null then
    return ""
  end
  return type(value) == "table" and json.encode(value) or tostring(value)
end

local Path = {}
Path.__index = Path

-- path:find(object) -> list of values
function Path:find(object)
  return find(self.steps, object)
end

-- path:texts(object) -> list of texts
function Path:texts(object)
  local texts = {}
  for i, value in ipairs(self:find(object)) do
    texts[i] = text_of(value)
  end
  return texts
end

local jsonpath = {}

-- jsonpath.parse("{.status.phase}", op) -> path. The braces may be missing, as may the first dot.
function jsonpath.parse(text, op)
  local inner = text:match "^{(.*)}$" or text
  if inner:find "^[%w_]" then
    inner = "." .. inner
  elseif inner:sub(1, 1) == "$" then
    inner = inner:sub(2)
  end
  if inner == "" then
    fail(op, text, 1, "it is empty")
  end
  return setmetatable({ steps = parse_steps(op, inner) }, Path)
end

return jsonpath
