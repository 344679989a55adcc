-- registry/versions.lua: the order of tags: as versions, or as texts in which numbers count.
-- SPDX-License-Identifier: MIT
-- Source: semver.org 2.0.0, 11 (precedence). Beyond it, as tags need it: any count of numbers, a "v" before
-- them, rc2 before rc10.
local byte_less = require("ctz.problems").byte_less

local ipairs, min, setmetatable = ipairs, math.min, setmetatable

-- Digits of any length: -1, 0, 1.
local function compare_digits(a, b)
  a, b = a:gsub("^0+", ""), b:gsub("^0+", "")
  if #a ~= #b then
    return #a < #b and -1 or 1
  end
  return a == b and 0 or byte_less(a, b) and -1 or 1
end

-- "ci-10" -> {"ci-", "10"}: texts and numbers in turn.
local function runs_of(text)
  local runs = {}
  for word, digits in text:gmatch "(%D*)(%d*)" do
    if word ~= "" or digits ~= "" then
      runs[#runs + 1], runs[#runs + 2] = word, digits
    end
  end
  return runs
end

-- compare_texts("rc2", "rc10") -> -1: by the bytes, but numbers by their value.
local function compare_texts(a, b)
  local left, right = runs_of(a), runs_of(b)
  for i = 1, min(#left, #right) do
    local one, other = left[i], right[i]
    local order
    if i % 2 == 0 then
      order = compare_digits(one, other)
    else
      order = one == other and 0 or byte_less(one, other) and -1 or 1
    end
    if order ~= 0 then
      return order
    end
  end
  return #left == #right and 0 or #left < #right and -1 or 1
end

local Version = { __name = "ctz.registry.version" }
Version.__index = Version

-- Words that may follow the numbers at once: "3.1rc1". Other letters there are no version: 3f2a91c.
local words <const> = {
  a = true, b = true, c = true, rc = true, alpha = true, beta = true, dev = true, pre = true, preview = true,
}

-- The identifiers of a pre-release, false without any; nil when it is none.
local function read_pre(rest)
  rest = rest:gsub("%+.*$", "") -- what it was built from does not count
  if rest == "" then
    return false
  end
  local stem = rest:match "^[-_](.+)$" or words[rest:match "^(%a*)%.?%d*$"] and rest
  local pre = {}
  for identifier in (stem or ""):gmatch "[^.]+" do
    pre[#pre + 1] = identifier
  end
  return #pre > 0 and pre or nil
end

-- "v1.2.3-rc.1" -> a version; nil for what is none.
local function parse(text)
  local numbers, rest = text:match "^[vV]?(%d[%d.]*)(.*)$"
  local pre = numbers and read_pre(rest)
  if pre == nil or numbers:find("..", 1, true) or numbers:sub(-1) == "." then
    return nil
  end
  local version = { text = text, pre = pre or nil }
  for digits in numbers:gmatch "%d+" do
    version[#version + 1] = digits
  end
  return setmetatable(version, Version)
end

local function compare_identifiers(a, b)
  local is_number, is_other = not a:find "%D", not b:find "%D"
  if is_number ~= is_other then
    return is_number and -1 or 1
  end
  return is_number and compare_digits(a, b) or compare_texts(a, b)
end

local function compare_pre(a, b)
  if not a or not b then
    return a == b and 0 or a and -1 or 1
  end
  for i = 1, min(#a, #b) do
    local order = compare_identifiers(a[i], b[i])
    if order ~= 0 then
      return order
    end
  end
  return #a == #b and 0 or #a < #b and -1 or 1
end

-- -1, 0, 1: "3" equals "3.0" and is before "3.1".
local function compare(a, b)
  for i = 1, #a > #b and #a or #b do
    local order = compare_digits(a[i] or "0", b[i] or "0")
    if order ~= 0 then
      return order
    end
  end
  return compare_pre(a.pre, b.pre)
end

-- --- ranges ------------------------------------------------------------------------------------

local function plus_one(digits)
  local head, nines = digits:match "^(.-)(9*)$"
  local last = head:sub(-1)
  return head:sub(1, -2) .. (last == "" and "1" or ("%d"):format(last + 1)) .. ("0"):rep(#nines)
end

-- The first version behind all that begin with the first `count` numbers.
local function behind(version, count)
  local bound = {}
  for i = 1, count do
    bound[i] = version[i] or "0"
  end
  bound[count] = plus_one(bound[count])
  return setmetatable(bound, Version)
end

-- ^1.2: what does not change the first number that is not 0.
local function caret_count(version)
  for i = 1, #version do
    if version[i]:find "[1-9]" then
      return i
    end
  end
  return #version
end

local operators = {}
operators[">="] = function(version) return version, nil end
operators["<"] = function(version) return nil, version end
operators["^"] = function(version) return version, behind(version, caret_count(version)) end
operators["~"] = function(version) return version, behind(version, min(2, #version)) end
operators["="] = function(version) return version, version, true end
operators[">"] = function(version) return version, nil, nil, true end
operators["<="] = function(version) return nil, version, true end

local function read_term(term)
  local operator, rest = term:match "^([<>=^~]*)(.*)$"
  local stem = operator == "" and rest:match "^(.-)%.[xX*]$"
  local version = parse(stem or rest)
  if not version or stem and version.pre then
    return nil
  end
  if stem then
    return { least = version, bound = behind(version, #version) }
  end
  local read = operators[operator == "" and "=" or operator]
  if not read then
    return nil
  end
  local least, bound, closed, open = read(version)
  return { least = least, bound = bound, closed = closed, open = open, pre = version.pre ~= nil }
end

local function within(version, term)
  if term.least then
    local order = compare(version, term.least)
    if order < 0 or order == 0 and term.open then
      return false
    end
  end
  if term.bound then
    local order = compare(version, term.bound)
    return order < 0 or order == 0 and term.closed == true
  end
  return true
end

-- range(">=1.2 <3 || ^4.1") -> function(version) -> boolean; nil and the part that is none.
-- Pre-releases are in it only where a bound of it is one.
local function range(text)
  local alternatives = {}
  for part in (text .. "||"):gmatch "(.-)||" do
    local terms = { pre = false }
    for term in part:gsub("([<>=^~]+)%s+", "%1"):gmatch "[^%s,]+" do
      local read = read_term(term)
      if not read then
        return nil, term
      end
      terms[#terms + 1], terms.pre = read, terms.pre or read.pre
    end
    if #terms == 0 then
      return nil, part
    end
    alternatives[#alternatives + 1] = terms
  end
  return function(version)
    for _, terms in ipairs(alternatives) do
      local fits = not version.pre or terms.pre
      for _, term in ipairs(terms) do
        fits = fits and within(version, term)
      end
      if fits then
        return true
      end
    end
    return false
  end
end

-- Is `a` before `b`? Equal versions are in the order of their texts.
local function less(a, b)
  local order = compare(a, b)
  if order == 0 then
    order = compare_texts(a.text, b.text)
  end
  return order < 0
end

return {
  parse = parse, compare = compare, less = less, compare_texts = compare_texts, range = range,
}
