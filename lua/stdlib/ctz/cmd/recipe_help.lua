-- cmd/recipe_help.lua: ctz run RECIPE --help.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"

-- The comment that a recipe begins with, without the dashes.
local function head_of(path)
  local lines = {}
  local file = path ~= "-" and io.open(path, "rb")
  if not file then
    return lines
  end
  for line in file:lines() do
    local text = line:gsub("\r$", ""):match "^%-%-+ ?(.*)$"
    if text and not text:find "^SPDX" then
      lines[#lines + 1] = text
    elseif not text and line:sub(1, 2) ~= "#!" then
      break
    end
  end
  file:close()
  while lines[#lines] == "" do
    lines[#lines] = nil
  end
  return lines
end

local function run(options, words)
  local path = words[1]
  local declared = require "ctz.cmd.declared"
  local out = head_of(path)
  local recipe = cli.load(path)
  local show = print
  declared.close()
  local found = declared.of(recipe)
  if options.json then
    show(require("ctz.json").encode { recipe = path, params = found.params })
    return 0
  end
  if #out > 0 then
    out[#out + 1] = ""
  end
  out[#out + 1] = ("usage: ctz run [options] %s%s"):format(path, found.params and " [name=value ...]" or " [args ...]")
  out[#out + 1] = ""
  if found.params and #found.params > 0 then
    out[#out + 1] = "parameters:"
    table.move(declared.lines(found.params), 1, #found.params, #out + 1, out)
  elseif found.stopped then
    local early = found.stopped
    out[#out + 1] = ("It declares no parameters before its first work (%s at %s)."):format(early.what, early.at)
  elseif found.failure then
    out[#out + 1] = "It fails before it declares parameters:"
    out[#out + 1] = tostring(found.failure)
  else
    out[#out + 1] = "It declares no parameters; all words are in ctz.args."
  end
  out[#out + 1] = "\nctz help run shows the options."
  show(table.concat(out, "\n"))
  return 0
end

return { run = run }
