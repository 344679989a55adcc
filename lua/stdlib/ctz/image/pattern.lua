-- image/pattern.lua: which paths of a folder belong to a layer.
-- SPDX-License-Identifier: MIT
--
-- * and ? stay within a name, [a-z] is one of these characters, ** stands for any number of folders.
-- A pattern without a slash is compared with the name alone, at any depth; one that matches a folder
-- stands for all below it.
local concat = table.concat

local function segment_pattern(segment)
  local out = { "^" }
  local at = 1
  while at <= #segment do
    local class = segment:match("^%[([!^]?[^%]/]+)%]", at)
    local char = segment:sub(at, at)
    if class then
      out[#out + 1] = "[" .. class:gsub("^!", "^"):gsub("%%", "%%%%") .. "]"
      at = at + #class + 1
    elseif char == "*" then
      out[#out + 1] = ".*"
    elseif char == "?" then
      out[#out + 1] = "."
    else
      out[#out + 1] = char:gsub("%W", "%%%0")
    end
    at = at + 1
  end
  out[#out + 1] = "$"
  return concat(out)
end

local function split(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    parts[#parts + 1] = part
  end
  return parts
end

local ANY_DEPTH <const> = "**"

-- Do names[n..] match all of the pattern's segments from s on? More names may follow: they lie below.
local function matches_from(segments, s, names, n)
  if s > #segments then
    return true
  elseif segments[s] == ANY_DEPTH then
    if s == #segments then
      return n <= #names
    end
    for next_name = n, #names do
      if matches_from(segments, s + 1, names, next_name) then
        return true
      end
    end
    return false
  end
  return n <= #names and names[n]:find(segments[s]) ~= nil and matches_from(segments, s + 1, names, n + 1)
end

local function compile_one(text)
  local parts = split(text)
  local segments = {}
  if #parts == 1 and text:sub(1, 1) ~= "/" then
    segments[1] = ANY_DEPTH
  end
  for _, part in ipairs(parts) do
    if part ~= ANY_DEPTH then
      segments[#segments + 1] = segment_pattern(part)
    elseif segments[#segments] ~= ANY_DEPTH then
      segments[#segments + 1] = ANY_DEPTH
    end
  end
  return segments
end

-- compile{"*.html", "docs/**/x"} -> function(path) -> boolean; path has no slash at its ends.
local function compile(patterns)
  local compiled = {}
  for i, text in ipairs(patterns) do
    compiled[i] = compile_one(text)
  end
  return function(path)
    local names = split(path)
    for _, segments in ipairs(compiled) do
      if matches_from(segments, 1, names, 1) then
        return true
      end
    end
    return false
  end
end

return { compile = compile }
