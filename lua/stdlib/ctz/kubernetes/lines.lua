-- kubernetes/lines.lua: a unified diff of two texts.
-- SPDX-License-Identifier: MIT
local concat, find, max, min, sub = table.concat, string.find, math.max, math.min, string.sub
local ipairs = ipairs

local CONTEXT <const> = 3 -- equal lines around a change
local CELLS <const> = 4000000 -- of the table of common lines; above it all between is told as changed

local function split(text)
  local lines, at = {}, 1
  while at <= #text do
    local stop = find(text, "\n", at, true) or #text + 1
    lines[#lines + 1], at = sub(text, at, stop - 1), stop + 1
  end
  return lines
end

-- common[i][j]: how many lines a[i..] and b[j..] have in common, between the equal ends.
local function table_of(a, b, first, last_a, last_b)
  local common = { [last_a + 1] = {} }
  for i = last_a, first, -1 do
    local row, below = {}, common[i + 1]
    for j = last_b, first, -1 do
      row[j] = a[i] == b[j] and (below[j + 1] or 0) + 1 or max(below[j] or 0, row[j + 1] or 0)
    end
    common[i] = row
  end
  return common
end

-- {mark, line} of both: " ", "-" or "+".
local function edits(a, b)
  local first, last_a, last_b = 1, #a, #b
  while first <= min(last_a, last_b) and a[first] == b[first] do
    first = first + 1
  end
  while last_a >= first and last_b >= first and a[last_a] == b[last_b] do
    last_a, last_b = last_a - 1, last_b - 1
  end
  local is_small = (last_a - first + 1) * (last_b - first + 1) <= CELLS
  local common = is_small and table_of(a, b, first, last_a, last_b)
  local list, i, j = {}, 1, 1
  while i <= #a or j <= #b do
    if i < first or i > last_a and j > last_b or i <= last_a and j <= last_b and a[i] == b[j] and common then
      list[#list + 1] = { " ", a[i] }
      i, j = i + 1, j + 1
    elseif i <= last_a and (j > last_b or not common or (common[i + 1][j] or 0) >= (common[i][j + 1] or 0)) then
      list[#list + 1] = { "-", a[i] }
      i = i + 1
    else
      list[#list + 1] = { "+", b[j] }
      j = j + 1
    end
  end
  return list
end

local function add_hunk(out, list, from, to, at_a, at_b)
  local count_a, count_b, lines = 0, 0, {}
  for k = from, to do
    local mark = list[k][1]
    count_a = count_a + (mark ~= "+" and 1 or 0)
    count_b = count_b + (mark ~= "-" and 1 or 0)
    lines[#lines + 1] = mark .. list[k][2]
  end
  out[#out + 1] = ("@@ -%d,%d +%d,%d @@"):format(count_a == 0 and at_a - 1 or at_a, count_a,
    count_b == 0 and at_b - 1 or at_b, count_b)
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

-- diff(a, b, name) -> "" when they are equal, else a unified diff, as diff -u prints it.
local function diff(a, b, name)
  if a == b then
    return ""
  end
  local list = edits(split(a), split(b))
  local out, at_a, at_b, k = { "--- live/" .. name, "+++ merged/" .. name }, 1, 1, 1
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

return { diff = diff }
