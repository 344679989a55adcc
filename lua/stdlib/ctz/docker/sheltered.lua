-- docker/sheltered.lua: a step that is done to its end although its task is cancelled meanwhile.
-- SPDX-License-Identifier: MIT
local error, pcall, setmetatable = error, pcall, setmetatable
local pack, unpack = table.pack, table.unpack

local Step = {
  __close = function(self)
    self.results = pack(pcall(self.fn))
  end,
}

-- sheltered(fn) -> what fn returns. A close handler may wait where the task is cancelled, within the
-- budget for clean-up: so the engine's answer to a request that makes something is never missed. The
-- cancel is raised at the next wait. Register what removes the thing before, and let fn tell it the id.
local function sheltered(fn)
  local step = setmetatable({ fn = fn }, Step)
  do
    local _ <close> = step
  end
  if not step.results[1] then
    error(step.results[2], 0)
  end
  return unpack(step.results, 2, step.results.n)
end

return sheltered
