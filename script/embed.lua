-- embed.lua FOLDER OUTPUT MODULE...: writes Lua sources as one C file of byte strings.
-- SPDX-License-Identifier: MIT
local folder, output = arg[1], arg[2]
local out = { '#include "host/load.h"\n', "const struct ctz_embedded ctz_embedded[] = {\n" }

local escapes = { ["\n"] = "\\n", ['"'] = '\\"', ["\\"] = "\\\\", ["?"] = "\\?" }

for i = 3, #arg do
  local file = assert(io.open(folder .. "/" .. arg[i], "rb"))
  local text = file:read("a")
  file:close()
  out[#out + 1] = ('{"%s", %d,\n'):format(arg[i], #text)
  for line in text:gmatch("[^\n]*\n?") do
    if line ~= "" then
      local escaped = line:gsub('[\n"\\?]', escapes):gsub("[^\32-\126]", function(c)
        return ("\\%03o"):format(c:byte())
      end)
      out[#out + 1] = '"' .. escaped .. '"\n'
    end
  end
  out[#out + 1] = "},\n"
end
out[#out + 1] = "{0}};\n"
local file = assert(io.open(output, "wb"))
file:write(table.concat(out))
file:close()
