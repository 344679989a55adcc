-- faults.lua: runs of ctz in which a system call is made to fail. Only builds with CTZ_TORTURE can.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"

local faults = {}

-- Can this build's calls be made to fail?
function faults.possible()
  local count <close> = ctz.fs.tempfile()
  ctz.process.run({ program.path, "eval", "1" }, { env = { CTZ_TORTURE_COUNT = count.path } })
  return ctz.fs.stat(count.path).size_bytes > 0
end

-- Evaluates code while the n-th pass of the fault point fails: plan is "write:1:ENOSPC".
function faults.eval(plan, code)
  return ctz.process.run({ program.path, "eval", code }, { env = { CTZ_FAIL = plan }, check = false })
end

return faults
