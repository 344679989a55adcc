-- ui.lua: progress, tables, and sizes and times for people.
-- SPDX-License-Identifier: MIT
local core = require "ctz.core.ui"
local host = require "ctz.core.host"
local new_error = require("ctz.core.task").error

local error, ipairs, pairs, tostring, type = error, ipairs, pairs, tostring, type
local concat, max = table.concat, math.max
local clean, fit, width = core.clean, core.fit, core.width

local TABLE_OPTIONS <const> = { "header", "columns", "gap", "width" }

local function usage(text, ...)
  error(new_error { kind = "usage", message = text:format(...) }, 3)
end

local function check_options(opts)
  local known = {}
  for _, name in ipairs(TABLE_OPTIONS) do
    known[name] = true
  end
  for name in pairs(opts) do
    if not known[name] then
      local near = host.nearest(tostring(name), TABLE_OPTIONS)
      usage("unknown option '%s' to 'ui.table'%s", name, near and ("; did you mean '%s'?"):format(near) or "")
    end
  end
end

local function cells_of(row, columns, count)
  local cells = {}
  for i = 1, count do
    local value = row[columns and columns[i] or i]
    cells[i] = value == nil and "" or clean(tostring(value))
  end
  return cells
end

-- A column of numbers stands to the right.
local function is_numeric(rows, key)
  local seen = false
  for _, row in ipairs(rows) do
    local value = row[key]
    if value ~= nil and type(value) ~= "number" then
      return false
    end
    seen = seen or value ~= nil
  end
  return seen
end

local function pad(cell, columns, right)
  local space = (" "):rep(columns - width(cell))
  return right and space .. cell or cell .. space
end

local function column_count(rows, columns, header)
  if columns then
    return #columns
  end
  local count = header and #header or 0
  for _, row in ipairs(rows) do
    count = max(count, #row)
  end
  return count
end

--- ctz.ui.table(rows, opts?) -> string
--- The rows as aligned text, one line each, for print. Columns of numbers stand to the right; text is
--- made harmless for a terminal.
--- @param rows table[]  each a list of cells, or with opts.columns a table of fields
--- @param opts.header? string[]  the first line; default: the names of opts.columns in upper case
--- @param opts.columns? string[]  which field of a row stands in which column
--- @param opts.gap? integer  spaces between columns, default 2
--- @param opts.width? integer  longer lines are cut; default: none is
--- @return string  each line ends with a newline
--- @example local text = ctz.ui.table({{name="web", size=12}, {name="db", size=7}}, {columns={"name", "size"}})
--- @example assert(text == "NAME  SIZE\nweb     12\ndb       7\n")
local function make_table(rows, opts)
  if type(rows) ~= "table" then
    usage("bad argument 'rows' to 'ui.table': expected table, got %s", type(rows))
  end
  opts = opts or {}
  check_options(opts)
  local columns, header = opts.columns, opts.header
  if columns and not header then
    header = {}
    for i, name in ipairs(columns) do
      header[i] = tostring(name):upper()
    end
  end
  local count = column_count(rows, columns, header)
  local lines, widths, right = {}, {}, {}
  if header then
    lines[1] = cells_of(header, nil, count)
  end
  for _, row in ipairs(rows) do
    lines[#lines + 1] = cells_of(row, columns, count)
  end
  for i = 1, count do
    widths[i] = 0
    right[i] = is_numeric(rows, columns and columns[i] or i)
    for _, line in ipairs(lines) do
      widths[i] = max(widths[i], width(line[i]))
    end
  end
  local gap = (" "):rep(opts.gap or 2)
  for n, line in ipairs(lines) do
    for i = 1, count do
      line[i] = pad(line[i], widths[i], right[i])
    end
    local text = concat(line, gap):gsub("%s+$", "")
    lines[n] = opts.width and fit(text, opts.width) or text
  end
  return #lines > 0 and concat(lines, "\n") .. "\n" or ""
end

return {
  progress = core.progress,
  table = make_table,
  bytes = core.bytes,
  duration = core.duration,
  clean = clean,
  width = width,
  fit = fit,
  screen = core.screen,
}
