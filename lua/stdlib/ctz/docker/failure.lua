-- docker/failure.lua: a program in a container that ended with another code than 0.
-- SPDX-License-Identifier: MIT
local new_error = require("ctz.core.task").error

local hints <const> = {
  [125] = "the engine could not start it",
  [126] = "the program is there, but cannot be executed",
  [127] = "the image has no such program",
  [137] = "it was killed: by docker kill, or because memory ran out (see State.OOMKilled)",
  [139] = "it crashed: segmentation fault",
  [143] = "it was asked to end (SIGTERM)",
}

local function last_line(text)
  return text and text:match "([^\n]*%S[^\n]*)%s*$"
end

-- Old engines say 126 of a program that is not there, and put the reason on stdout.
local function hint_of(result)
  if result.exit_code == 126 and (result.stdout or ""):find("executable file not found", 1, true) then
    return hints[127]
  end
  return hints[result.exit_code]
end

-- The error for a result {exit_code, stdout, stderr}.
local function of(op, target, result)
  local words = not last_line(result.stderr) and last_line(result.stdout) -- tostring shows stderr itself
  local said = words and (": " .. words:sub(1, 400)) or ""
  local err = new_error {
    kind = "exit",
    op = op,
    message = ("%s ended with exit code %d%s"):format(target, result.exit_code, said),
    hint = hint_of(result),
    target = target,
    exit_code = result.exit_code,
    stderr = result.stderr,
  }
  err.stdout, err.result = result.stdout, result
  return err
end

return { of = of }
