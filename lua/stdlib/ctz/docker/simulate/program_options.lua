-- docker/simulate/program_options.lua: the options of the small programs, and what none of them knows.
-- SPDX-License-Identifier: MIT
local new_error = require("ctz.core.task").error

local error = error
local find, sub = string.find, string.sub

local function unsupported(what)
  error(new_error {
    kind = "unsupported",
    message = ("the simulated engine does not model %s"):format(what),
    hint = "give it a program of your own: ctz.simulate.engine{programs = {NAME = function(argv, io) ... end}}",
  }, 0)
end

-- The options in front of the operands: {n = "5"}, index of the first operand. with_value: letters.
local function options(argv, plain, with_value)
  local found, at = {}, 1
  while argv[at] and find(argv[at], "^%-.") do
    local word = argv[at]
    at = at + 1
    if word == "--" then
      break
    end
    local letters = sub(word, 2)
    while letters ~= "" do
      local letter = sub(letters, 1, 1)
      letters = sub(letters, 2)
      if find(with_value or "", letter, 1, true) then
        found[letter] = letters ~= "" and letters or argv[at]
        at = letters ~= "" and at or at + 1
        letters = ""
      elseif find(plain or "", letter, 1, true) then
        found[letter] = true
      else
        unsupported(("the option %s of %s"):format(word, argv[0]))
      end
    end
  end
  return found, at
end

return { options = options, unsupported = unsupported }
