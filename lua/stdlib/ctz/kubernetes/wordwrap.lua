-- kubernetes/wordwrap.lua: text in lines of a width, and further in.
-- SPDX-License-Identifier: MIT
-- Source: github.com/mitchellh/go-wordwrap, wordwrap.go, which kubectl uses: its output is the same.
local concat = table.concat
local gmatch, gsub, rep = string.gmatch, string.gsub, string.rep
local len = utf8.len

local function width_of(text)
  return len(text, 1, -1, true) or #text
end

-- wrap(text, width): breaks lines between words. Spaces at a break go; a word as long as a line stays whole.
local function wrap(text, width)
  local lines = {}
  for line in gmatch(text .. "\n", "(.-)\n") do
    local out, column = {}, 0
    for space, word in gmatch(line, "(%s*)(%S*)") do
      local spaces, size = #space, width_of(word)
      if word == "" then
        out[#out + 1] = column + spaces <= width and space or ""
      elseif column + spaces + size > width and size < width then
        out[#out + 1] = "\n" .. word
        column = size
      elseif size >= width and column + spaces + width - 1 > width then -- begins a line of its own
        out[#out + 1] = "\n" .. word
        column = size
      else
        out[#out + 1] = space .. word
        column = column + spaces + size
      end
    end
    lines[#lines + 1] = concat(out)
  end
  return concat(lines, "\n")
end

-- indent(text, count): count spaces before each line, empty ones too.
local function indent(text, count)
  local pad = rep(" ", count)
  return pad .. gsub(text, "\n", "\n" .. pad)
end

return { wrap = wrap, indent = indent }
