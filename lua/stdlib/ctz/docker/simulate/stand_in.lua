-- docker/simulate/stand_in.lua: which simulated engine stands in the place of a real one, if any.
-- SPDX-License-Identifier: MIT
local host = require "ctz.core.host"

local io, require = io, require

local SIMULATES <const> = host.mode().simulate

local stand_in = {}

local current -- the engine that a test put in (see ctz.simulate)
local engines = {} -- of a run with --simulate: by what they are called
local has_told = false

-- The run's first line, before anything is asked of a simulated engine.
local function announce()
  if not has_told then
    has_told = true
    io.stderr:write "simulated: no engine is used\n"
  end
end

-- The engine of a test, nil when there is none. What was connected under another one is not of this one.
function stand_in.current()
  return current
end

-- From now on this engine is meant by all that connects; nil: none.
function stand_in.put(engine)
  current = engine
end

-- The client for an address, nil when real engines are meant.
function stand_in.client(opts)
  if not current and not SIMULATES then
    return nil
  end
  local simulate = require "ctz.docker.simulate"
  if current then
    return simulate.new_client(current)
  end
  local name = opts.host or opts.context or ""
  engines[name] = engines[name] or simulate.new_engine {}
  return simulate.new_client(engines[name], announce)
end

return stand_in
