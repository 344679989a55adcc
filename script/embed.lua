-- embed.lua OUTPUT [-C FOLDER MODULE...]...: writes Lua modules, compiled, as one C file of byte strings.
-- Compiling them at each start would take longer than all else that a start does. Releases of one
-- version of Lua have the same virtual machine, so what lua5.4 compiles here, each liblua5.4 runs.
-- SPDX-License-Identifier: MIT
local out = { '#include "host/load.h"\n', "const struct ctz_embedded ctz_embedded[] = {\n" }

local escapes = { ["\n"] = "\\n", ['"'] = '\\"', ["\\"] = "\\\\", ["?"] = "\\?" }

local function add(folder, module)
  local file = assert(io.open(folder .. "/" .. module, "rb"))
  local text = file:read("a")
  file:close()
  local code = string.dump(assert(load(text, "@ctz:" .. module:gsub("^ctz/", ""), "t")))
  out[#out + 1] = ('{"%s", %d,\n'):format(module, #code)
  for line in code:gmatch("[^\n]*\n?") do
    if line ~= "" then
      local escaped = line:gsub('[\n"\\?]', escapes):gsub("[^\32-\126]", function(c)
        return ("\\%03o"):format(c:byte())
      end)
      out[#out + 1] = '"' .. escaped .. '"\n'
    end
  end
  out[#out + 1] = "},\n"
end

local folder
local at = 2
while arg[at] do
  if arg[at] == "-C" then
    folder = arg[at + 1]
    at = at + 2
  else
    add(folder, arg[at])
    at = at + 1
  end
end
out[#out + 1] = "{0}};\n"
local file = assert(io.open(arg[1], "wb"))
file:write(table.concat(out))
file:close()
