-- cmd/doctext.lua: finding and showing documentation: for ctz doc, and ?name in the REPL.
-- SPDX-License-Identifier: MIT
local nearest = require("ctz.problems").nearest

local WIDTH <const> = 80
local COLUMN_MAX <const> = 30

local doctext = {}

local data -- of the build: {entries=, pages=, kinds=}

local function load_data()
  data = data or require "ctz.docdata"
  return data
end

-- --- finding ---------------------------------------------------------------------------------------

-- Every documented name: functions, methods ("ctz.task:await"), fields and modules, sorted.
function doctext.names()
  local names = {}
  for _, entry in ipairs(load_data().entries) do
    names[#names + 1] = entry.name
  end
  for _, page in ipairs(data.pages) do
    names[#names + 1] = page.name
  end
  table.sort(names)
  return names
end

-- The module of that name ("ctz.fs" or "fs"), or nil: {name=, text=}.
function doctext.page(name)
  for _, page in ipairs(load_data().pages) do
    if page.name == name or page.name == "ctz." .. name then
      return page
    end
  end
end

-- What an error kind means ("not_found"), and who raises it; nil when there is no such kind.
function doctext.kind(name)
  for _, kind in ipairs(load_data().kinds) do
    if kind.name == name then
      local raised_by = {}
      for _, entry in ipairs(data.entries) do
        for _, err in ipairs(entry.errors or {}) do
          raised_by[#raised_by + 1] = err.kind == name and entry or nil
        end
      end
      return { name = name, text = kind.text, raised_by = raised_by }
    end
  end
end

-- The entries of a module, in the order of the reference.
function doctext.entries_of(page)
  local entries = {}
  for _, entry in ipairs(load_data().entries) do
    if entry.page == page.name then
      entries[#entries + 1] = entry
    end
  end
  return entries
end

-- "task:await" and "ctz.task:await", "fs.read" and "ctz.fs.read".
local function is_name_of(entry, name)
  return entry.name == name or entry.name == "ctz." .. name or entry.signature:match "^[%w_.:]+" == name
end

-- The entries meant by a name: the one that is called so, or else all whose last word it is, and
-- true; or else all whose name has it in it, and false.
function doctext.find(name)
  local exact, last, inside = {}, {}, {}
  local word = name:lower()
  for _, entry in ipairs(load_data().entries) do
    if is_name_of(entry, name) then
      exact[#exact + 1] = entry
    elseif entry.name:match "([%w_]+)$" == name then
      last[#last + 1] = entry
    elseif entry.name:lower():find(word, 1, true) then
      inside[#inside + 1] = entry
    end
  end
  if #exact > 0 then
    return exact, true
  elseif #last > 0 then
    return last, true
  end
  return inside, false
end

-- The documented name that was probably meant, or nil.
function doctext.nearest(name)
  local names = doctext.names()
  local near = nearest(name, names)
  if near then
    return near
  end
  local lasts, by_last = {}, {}
  for _, full in ipairs(names) do
    local last = full:match "([%w_]+)$"
    if not by_last[last] then
      by_last[last] = full
      lasts[#lasts + 1] = last
    end
  end
  return by_last[nearest(name, lasts)]
end

-- The value that a name stands for, without loading a module.
local function value_of(name)
  local value = package.loaded.ctz
  for part in name:sub(5):gmatch "[^.:]+" do
    value = type(value) == "table" and rawget(value, part) or nil
  end
  return value
end

-- The entry of a function of ctz, given as value; nil when it is none.
function doctext.of_value(value)
  for _, entry in ipairs(load_data().entries) do
    if not entry.class and value ~= nil and value_of(entry.name) == value then
      return entry
    end
  end
end

-- --- showing ---------------------------------------------------------------------------------------

local function wrap(text, indent)
  local lines = {}
  for paragraph in (text .. "\n\n"):gmatch "(.-)\n\n" do
    local line = indent
    for word in paragraph:gmatch "%S+" do
      if line ~= indent and #line + 1 + #word > WIDTH then
        lines[#lines + 1] = line
        line = indent
      end
      line = line .. (line == indent and "" or " ") .. word
    end
    lines[#lines + 1] = line
    lines[#lines + 1] = ""
  end
  lines[#lines] = nil
  return table.concat(lines, "\n")
end

-- Rows of {left, right} as two columns.
local function add_rows(out, rows)
  local width = 0
  for _, row in ipairs(rows) do
    width = math.max(width, #row[1])
  end
  width = math.min(width, COLUMN_MAX)
  local indent = (" "):rep(width + 4)
  for _, row in ipairs(rows) do
    local right = wrap(row[2], indent):sub(#indent + 1)
    if #row[1] > width then
      out[#out + 1] = ("  %s\n%s%s"):format(row[1], indent, right)
    else
      out[#out + 1] = (("  %s%s%s"):format(row[1], (" "):rep(width + 2 - #row[1]), right):gsub("%s+$", ""))
    end
  end
end

local function param_rows(entry)
  local rows = {}
  for i, param in ipairs(entry.params or {}) do
    rows[i] = { param.name .. (param.optional and "?" or ""), param.type .. (param.text and ": " .. param.text or "") }
  end
  return rows
end

local function fact_rows(list, field)
  local rows = {}
  for i, fact in ipairs(list or {}) do
    rows[i] = { fact[field], fact.text or "" }
  end
  return rows
end

local function add_section(out, title, rows)
  if #rows > 0 then
    out[#out + 1] = "\n" .. title
    add_rows(out, rows)
  end
end

-- All about one entry, as text.
function doctext.text(entry)
  local out = { entry.signature, "", wrap(entry.text or "", "") }
  if entry.async then
    out[#out + 1] = "\nIt waits: other tasks run meanwhile."
  end
  add_section(out, "parameters:", param_rows(entry))
  add_section(out, "returns:", fact_rows(entry.returns, "type"))
  add_section(out, "errors:", fact_rows(entry.errors, "kind"))
  if entry.example then
    out[#out + 1] = "\nexample:\n  " .. entry.example:gsub("\n", "\n  ")
  end
  out[#out + 1] = "\n" .. (entry.api and entry.api .. "; " or "") .. ("%s:%d"):format(entry.file, entry.line)
  return table.concat(out, "\n")
end

local function first_sentence(text)
  return ((text or "") .. " "):match "^(.-%.)%s" or text or ""
end

-- A list of entries, a line each.
function doctext.summary(entries)
  local rows, out = {}, {}
  for i, entry in ipairs(entries) do
    rows[i] = { entry.signature:match "^[^%s(]+" .. (entry.arguments or ""), first_sentence(entry.text) }
  end
  add_rows(out, rows)
  return table.concat(out, "\n")
end

-- A module: what it is for, and its functions.
function doctext.page_text(page)
  local head = ("%s: %s\n"):format(page.name, page.text or "")
  return head .. "\n" .. doctext.summary(doctext.entries_of(page))
end

function doctext.kind_text(kind)
  local head = ("error kind %s: %s\n"):format(kind.name, kind.text)
  return #kind.raised_by == 0 and head or head .. "\nraised by:\n" .. doctext.summary(kind.raised_by)
end

-- All modules.
function doctext.overview()
  local rows, out = {}, { "modules:" }
  for i, page in ipairs(load_data().pages) do
    rows[i] = { page.name, page.text or "" }
  end
  add_rows(out, rows)
  out[#out + 1] = "\nctz doc ctz.sleep shows a function; ctz doc ctz, those of a module."
  return table.concat(out, "\n")
end

return doctext
