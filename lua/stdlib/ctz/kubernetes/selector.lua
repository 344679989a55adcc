-- kubernetes/selector.lua: label selectors, as kubectl -l takes them.
-- SPDX-License-Identifier: MIT
-- Source: k8s.io/apimachinery, pkg/labels/selector.go.
local names = require "ctz.kubernetes.names"
local new_error = require("ctz.core.task").error
local problems = require "ctz.problems"

local concat, find, match, sort, sub = table.concat, string.find, string.match, table.sort, string.sub
local error, ipairs, setmetatable, tonumber, tostring, type = error, ipairs, setmetatable, tonumber, tostring, type

local OP <const> = "kubernetes.selector"
local OPERATORS <const> = {
  ["="] = "=", ["=="] = "==", ["!="] = "!=", ["in"] = "in", ["notin"] = "notin", [">"] = ">", ["<"] = "<",
}
local HINT <const> = 'app=web, tier!=db, env in (a,b), env notin (c), gpu, !spot, cores>4'

local function usage(message, hint)
  error(new_error { kind = "usage", op = OP, message = message, hint = hint }, 0)
end

-- --- reading -----------------------------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

-- A word, an operator, "(", ")", ",", "!" or nil at the end; and where it stands.
local function token(self)
  local text = self.text
  local at = match(text, "^[ \t\r\n]*()", self.at)
  local first, last = find(text, "^[=!<>]+", at)
  if first then
    local sign = sub(text, first, last)
    local known = OPERATORS[sign] or sign == "!"
    return known and sign or sub(sign, 1, sub(sign, 1, 2) == "==" and 2 or 1), at, false
  end
  local mark = match(text, "^[(),]", at)
  if mark then
    return mark, at, false
  end
  return match(text, "^[^=!<>(),%s]+", at), at, true
end

function Reader:next()
  local text, at, is_word = token(self)
  self.at = at + #(text or "")
  return text, at, is_word
end

function Reader:peek()
  return token(self)
end

function Reader:fail(at, expected, got)
  usage(("bad selector %q at %d: expected %s, found %s"):format(self.text, at, expected,
    got and ("%q"):format(got) or "the end"), HINT)
end

function Reader:check(at, what, text, wrong)
  if wrong then
    usage(("bad selector %q at %d: bad %s %q: %s"):format(self.text, at, what, text, wrong))
  end
  return text
end

function Reader:key()
  local text, at, is_word = self:next()
  if not is_word or not text then
    self:fail(at, "a label", text)
  end
  return self:check(at, "label", text, names.key(text))
end

-- One value; it may be empty, before "," and at the end.
function Reader:value()
  local text, at, is_word = self:peek()
  if not text or text == "," or text == ")" then
    return ""
  elseif not is_word then
    self:fail(at, "a value", text)
  end
  self:next()
  return self:check(at, "value", text, names.value(text))
end

function Reader:set()
  local text, at = self:next()
  if text ~= "(" then
    self:fail(at, '"("', text)
  end
  local values, seen = {}, {}
  repeat
    local value = self:value()
    if not seen[value] then
      seen[value], values[#values + 1] = true, value
    end
    text, at = self:next()
    if text ~= "," and text ~= ")" then
      self:fail(at, '"," or ")"', text)
    end
  until text == ")"
  sort(values, problems.byte_less)
  return { values = values, has = seen }
end

function Reader:number()
  local _, at = self:peek()
  local text = self:value()
  local number = find(text, "^%-?%d+$") and math.tointeger(tonumber(text))
  if not number then
    usage(("bad selector %q at %d: '>' and '<' take an integer, got %q"):format(self.text, at, text))
  end
  return number
end

function Reader:requirement()
  if self:peek() == "!" then
    self:next()
    return { key = self:key(), operator = "!" }
  end
  local key = self:key()
  local text, at = self:peek()
  if not text or text == "," then
    return { key = key, operator = "exists" }
  elseif not OPERATORS[text] then
    self:fail(at, "one of = == != in notin > <", text)
  end
  self:next()
  if text == "in" or text == "notin" then
    local set = self:set()
    return { key = key, operator = text, values = set.values, has = set.has }
  elseif text == ">" or text == "<" then
    return { key = key, operator = text, number = self:number() }
  end
  return { key = key, operator = text, value = self:value() }
end

local function parse(text)
  local reader = setmetatable({ text = text, at = 1 }, Reader)
  local list = {}
  if not reader:peek() then
    return list
  end
  repeat
    list[#list + 1] = reader:requirement()
    local mark, at = reader:next()
    if mark and mark ~= "," then
      reader:fail(at, '"," or the end', mark)
    end
  until not mark
  return list
end

-- --- matching ----------------------------------------------------------------------------------

local function as_integer(value)
  return value and find(value, "^%-?%d+$") and math.tointeger(tonumber(value))
end

local matches = {
  exists = function(_, value)
    return value ~= nil
  end,
  ["!"] = function(_, value)
    return value == nil
  end,
  ["="] = function(rule, value)
    return value == rule.value
  end,
  ["!="] = function(rule, value)
    return value ~= rule.value
  end,
  ["in"] = function(rule, value)
    return value ~= nil and rule.has[value] == true
  end,
  ["notin"] = function(rule, value)
    return value == nil or not rule.has[value]
  end,
  [">"] = function(rule, value)
    local number = as_integer(value)
    return number ~= nil and number ~= false and number > rule.number
  end,
  ["<"] = function(rule, value)
    local number = as_integer(value)
    return number ~= nil and number ~= false and number < rule.number
  end,
}
matches["=="] = matches["="]

local Selector = { __name = "ctz.kubernetes.Selector" }
Selector.__index = Selector

--- selector:matches(labels) -> boolean
--- Does it take an object with these labels? As in the API, `!=` and `notin` take objects without the
--- label too.
--- @param labels? table<string, string>  nil: none
--- @example assert(ctz.kubernetes.selector("tier notin (db)"):matches{app="web"})
function Selector:matches(labels)
  if labels ~= nil and type(labels) ~= "table" then
    usage(("bad argument 'labels' to 'selector:matches': expected table, got %s"):format(type(labels)))
  end
  for _, rule in ipairs(self) do
    local value = labels and labels[rule.key]
    if not matches[rule.operator](rule, value) then
      return false
    end
  end
  return true
end

local function rule_text(rule)
  local operator = rule.operator
  if operator == "exists" then
    return rule.key
  elseif operator == "!" then
    return "!" .. rule.key
  elseif rule.values then
    return ("%s %s (%s)"):format(rule.key, operator, concat(rule.values, ","))
  end
  return rule.key .. operator .. tostring(rule.value or rule.number)
end

function Selector:__tostring()
  local parts = {}
  for i, rule in ipairs(self) do
    parts[i] = rule_text(rule)
  end
  return concat(parts, ",")
end

--- ctz.kubernetes.selector(text) -> ctz.kubernetes.Selector
--- A label selector as kubectl's -l takes it: `app=web`, `a==b`, `tier!=db`, `env in (a,b)`,
--- `env notin (c)`, `gpu` (has the label), `!spot` (has it not), `cores>4`; a comma is "and", an empty
--- text takes everything. tostring gives its canonical text.
--- @param text string
--- @error usage  it is no selector; the message has the place
--- @example local selector = ctz.kubernetes.selector("app=web, env in (test,prod), !spot")
--- @example assert(selector:matches{app="web", env="prod"} and not selector:matches{app="web"})
--- @example assert(tostring(selector) == "app=web,env in (prod,test),!spot")
--- Api: k8s.io/apimachinery, pkg/labels
local function selector(text)
  if type(text) ~= "string" then
    usage(("bad argument 'text' to 'kubernetes.selector': expected string, got %s"):format(type(text)))
  end
  return setmetatable(parse(text), Selector)
end

return { selector = selector }
