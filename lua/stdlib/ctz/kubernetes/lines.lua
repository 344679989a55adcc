-- kubernetes/lines.lua: a unified diff of two texts.
-- SPDX-License-Identifier: MIT
local concat, find, max, min, sub = table.concat, string.find, math.max, math.min, string.sub
local ipairs, next = ipairs, next

local CONTEXT <const> = 3 -- equal lines around a change
local MOST_EDITS <const> = 1000 -- memory grows with the square; above it all between is told as changed

local function split(text)
  local lines, at = {}, 1
  while at <= #text do
    local stop = find(text, "\n", at, true) or #text + 1
    lines[#lines + 1], at = sub(text, at, stop - 1), stop + 1
  end
  return lines
end

-- The fewest edits from a[first..last_a] to b[first..last_b], by Myers' algorithm: for each number of edits
-- how far each diagonal comes; nil when there are too many.
local function trace_of(a, b, first, last_a, last_b)
  local count_a, count_b = last_a - first + 1, last_b - first + 1
  local far, trace = { [1] = 0 }, {}
  for edits = 0, min(count_a + count_b, MOST_EDITS) do
    local row = {}
    for k = -edits, edits, 2 do
      local down = k == -edits or k ~= edits and far[k - 1] < far[k + 1]
      local x = down and far[k + 1] or far[k - 1] + 1
      local y = x - k
      while x < count_a and y < count_b and a[first + x] == b[first + y] do
        x, y = x + 1, y + 1
      end
      row[k] = x
      if x >= count_a and y >= count_b then
        trace[edits] = row
        return trace, edits, k
      end
    end
    trace[edits] = row
    for k, x in next, row do
      far[k] = x
    end
  end
  return nil
end

-- gone[i], new[j]: which lines of a are not in b, which of b not in a.
local function marks_of(a, b)
  local gone, new = {}, {}
  local first, last_a, last_b = 1, #a, #b
  while first <= min(last_a, last_b) and a[first] == b[first] do
    first = first + 1
  end
  while last_a >= first and last_b >= first and a[last_a] == b[last_b] do
    last_a, last_b = last_a - 1, last_b - 1
  end
  local trace, edits, k = trace_of(a, b, first, last_a, last_b)
  if not trace then
    for i = first, last_a do
      gone[i] = true
    end
    for j = first, last_b do
      new[j] = true
    end
    return gone, new
  end
  while edits > 0 do
    local before = trace[edits - 1]
    local down = k == -edits or k ~= edits and before[k - 1] < before[k + 1]
    k = down and k + 1 or k - 1
    local x = before[k]
    if down then
      new[first + x - k] = true
    else
      gone[first + x] = true
    end
    edits = edits - 1
  end
  return gone, new
end

-- Moves runs of marked lines down while that gives the same text, as diff does: what is added at the end of a
-- list shall not begin inside the item before. A run that stands beside one of the other text stays there.
local function settle(lines, marked, other)
  local i, j, count = 1, 1, #lines -- j: the line of the other text beside lines[i]
  while i <= count do
    while other[j] do
      j = j + 1
    end
    if marked[i] then
      local from, beside = i, j > 1 and other[j - 1]
      while marked[i] do
        i = i + 1
      end
      while not beside and i <= count and lines[from] == lines[i] do
        marked[from], marked[i] = nil, true
        from, i, j = from + 1, i + 1, j + 1
        while marked[i] do
          i = i + 1
        end
        beside = other[j]
      end
    else
      i, j = i + 1, j + 1
    end
  end
end

-- {mark, line} of both: " ", "-" or "+".
local function edits(a, b)
  local gone, new = marks_of(a, b)
  settle(a, gone, new)
  settle(b, new, gone)
  local list, i, j = {}, 1, 1
  while i <= #a or j <= #b do
    if gone[i] then
      list[#list + 1] = { "-", a[i] }
      i = i + 1
    elseif new[j] then
      list[#list + 1] = { "+", b[j] }
      j = j + 1
    else
      list[#list + 1] = { " ", a[i] }
      i, j = i + 1, j + 1
    end
  end
  return list
end

local function span(at, count)
  if count == 1 then
    return ("%d"):format(at)
  end
  return ("%d,%d"):format(count == 0 and at - 1 or at, count)
end

local function add_hunk(out, list, from, to, at_a, at_b)
  local count_a, count_b, lines = 0, 0, {}
  for k = from, to do
    local mark = list[k][1]
    count_a = count_a + (mark ~= "+" and 1 or 0)
    count_b = count_b + (mark ~= "-" and 1 or 0)
    lines[#lines + 1] = mark .. list[k][2]
  end
  out[#out + 1] = ("@@ -%s +%s @@"):format(span(at_a, count_a), span(at_b, count_b))
  out[#out + 1] = concat(lines, "\n")
end

-- The ranges of edits that are shown: changes with their context, joined where they meet.
local function ranges_of(list)
  local ranges = {}
  for k, edit in ipairs(list) do
    if edit[1] ~= " " then
      local last = ranges[#ranges]
      if last and k - CONTEXT <= last.to + 1 then
        last.to = min(#list, k + CONTEXT)
      else
        ranges[#ranges + 1] = { from = max(1, k - CONTEXT), to = min(#list, k + CONTEXT) }
      end
    end
  end
  return ranges
end

-- diff(a, b, name) -> "" when they are equal, else a unified diff of LIVE/name and MERGED/name, as kubectl has
-- it of diff -u -N.
local function diff(a, b, name)
  if a == b then
    return ""
  end
  local list = edits(split(a), split(b))
  local live, merged = "LIVE/" .. name, "MERGED/" .. name
  local out, at_a, at_b, k = { ("diff -u -N %s %s"):format(live, merged), "--- " .. live, "+++ " .. merged }, 1, 1, 1
  for _, range in ipairs(ranges_of(list)) do
    while k < range.from do
      at_a, at_b, k = at_a + 1, at_b + 1, k + 1
    end
    add_hunk(out, list, range.from, range.to, at_a, at_b)
    while k <= range.to do
      local mark = list[k][1]
      at_a, at_b, k = at_a + (mark ~= "+" and 1 or 0), at_b + (mark ~= "-" and 1 or 0), k + 1
    end
  end
  return concat(out, "\n") .. "\n"
end

local COLORS <const> = {
  ["-"] = "\27[31m", ["+"] = "\27[32m", ["@"] = "\27[36m", d = "\27[1m",
}

-- colored(diff) -> the same for a terminal
local function colored(text)
  local out, is_head = {}, false
  for line in text:gmatch "[^\n]+" do
    local mark = sub(line, 1, 1)
    is_head = mark == "d" or is_head and mark ~= "@"
    local color = is_head and COLORS.d or COLORS[mark]
    out[#out + 1] = color and color .. line .. "\27[0m" or line
  end
  return concat(out, "\n") .. (#out > 0 and "\n" or "")
end

return { diff = diff, colored = colored }
