-- registry/challenge.lua: headers of answers that have a grammar of their own.
-- SPDX-License-Identifier: MIT
-- Source: RFC 9110, 11.6.1 (WWW-Authenticate); RFC 8288, 3 (Link); RFC 7234, 5.5 (Warning).
local tonumber = tonumber
local concat = table.concat

local TOKEN <const> = "^[%w!#$%%&'*+.^_`|~-]+"
local MONTHS <const> = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

-- "..." at a position -> the text without its backslashes, and the position behind it; nil when it
-- does not end.
local function quoted(text, at)
  local parts = {}
  at = at + 1
  while at <= #text do
    local char = text:sub(at, at)
    if char == '"' then
      return concat(parts), at + 1
    elseif char == "\\" then
      at = at + 1
      char = text:sub(at, at)
    end
    parts[#parts + 1] = char
    at = at + 1
  end
  return nil
end

-- name=value at a position -> name, value, position behind; nil when there is none.
local function parameter(text, at)
  local name = text:match(TOKEN, at)
  local from = name and text:match("^%s*=%s*()", at + #name)
  if not from then
    return nil
  elseif text:sub(from, from) == '"' then
    local value, behind = quoted(text, from)
    return value and name:lower(), value, behind
  end
  local value = text:match("^[^%s,]*", from)
  return name:lower(), value, from + #value
end

-- 'Negotiate, Bearer realm="r",scope="a b"' -> {{scheme = "negotiate", params = {}}, {...}}. Several
-- headers come joined by commas. What cannot be read ends the list.
local function parse(text)
  local list, at = {}, 1
  while at <= #text do
    at = text:match("^[%s,]*()", at)
    local name, value, behind = parameter(text, at)
    if name and list[#list] then
      list[#list].params[name] = list[#list].params[name] or value
      at = behind
    else
      local scheme = text:match(TOKEN, at)
      if not scheme then
        break
      end
      list[#list + 1] = { scheme = scheme:lower(), params = {} }
      at = at + #scheme
      local token = text:match("^ +([%w._~+/-]+=*)%s*,", at) or text:match("^ +([%w._~+/-]+=*)%s*$", at)
      at = token and not text:find("^ +[%w._~+/-]+=[^=,%s]", at) and text:match("^ +[%w._~+/-]+=*()", at) or at
    end
  end
  return list
end

-- The target of rel="next" of a Link header, as it is written; nil when there is none.
local function next_link(text)
  for target, rest in (text or ""):gmatch "<([^>]*)>([^<]*)" do
    for name, value in rest:gmatch ';%s*([%w*]+)%s*=%s*"?([^";,]*)' do
      if name:lower() == "rel" and (" " .. value:lower() .. " "):find(" next ", 1, true) then
        return target
      end
    end
  end
  return nil
end

-- The texts of 299 - "text"; anything else is for others.
local function warnings(text)
  local list, at = {}, 1
  while true do
    local _, last = text:find("299 %- ", at)
    local words, behind
    if last and text:sub(last + 1, last + 1) == '"' then
      words, behind = quoted(text, last + 1)
    end
    if not words then
      return list
    end
    list[#list + 1], at = words, behind
  end
end

local function days_since_1970(year, month, day)
  year = month <= 2 and year - 1 or year
  local era = year // 400
  local of_era = year - era * 400
  local of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

-- Retry-After, in seconds from now (seconds since 1970): "120" or an HTTP date. nil when it is neither.
local function retry_after(text, now)
  text = text and text:match "^%s*(.-)%s*$" or ""
  if text:find "^%d+$" then
    return tonumber(text)
  end
  local day, month, year, h, m, s = text:match "^%a+, (%d+) (%a+) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$"
  if not day or not MONTHS[month] then
    return nil
  end
  local at = days_since_1970(tonumber(year), MONTHS[month], tonumber(day)) * 86400 + h * 3600 + m * 60 + s
  return at > now and at - now or 0
end

return { parse = parse, next_link = next_link, warnings = warnings, retry_after = retry_after }
