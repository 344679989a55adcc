-- docker/simulate/health.lua: health checks of simulated containers.
-- SPDX-License-Identifier: MIT
-- Source: moby, daemon/health.go: the first check comes after an interval, five results are kept.
local create = require "ctz.docker.simulate.create"
local engines = require "ctz.docker.simulate.engine"
local exec = require "ctz.docker.simulate.exec"
local json = require "ctz.json"

local pcall, remove = pcall, table.remove

local NANO <const> = 1000000000
local INTERVAL_S <const>, TIMEOUT_S <const>, RETRIES <const> = 30, 30, 3
local KEPT <const> = 5
local OUTPUT_BYTES <const> = 4096

local health = {}

local function seconds(value, default)
  return value and value > 0 and value / NANO or default
end

local function command_of(test)
  local kind = test and test[1]
  if kind == "CMD" then
    return { table.unpack(test, 2) }
  elseif kind == "CMD-SHELL" then
    return { "/bin/sh", "-c", test[2] }
  end
  return nil
end

local check_later

local function set_status(container, status)
  local state = container.state.health
  if state.status ~= status then
    state.status = status
    create.tell(container, "health_status: " .. status)
  end
end

local function note(container, began, code, text)
  local kernel, state, check = container.engine.kernel, container.state.health, container.config.Healthcheck
  state.log[#state.log + 1] = {
    Start = engines.stamp(began),
    End = engines.stamp(kernel.clock),
    ExitCode = code,
    Output = text:sub(1, OUTPUT_BYTES),
  }
  if #state.log > KEPT then
    remove(state.log, 1)
  end
  if code == 0 then
    state.streak = 0
    set_status(container, "healthy")
    return
  end
  local in_start = state.status == "starting"
    and kernel.clock - container.state.started < seconds(check.StartPeriod, 0)
  if not in_start then
    state.streak = state.streak + 1
    if state.streak >= (check.Retries and check.Retries > 0 and check.Retries or RETRIES) then
      set_status(container, "unhealthy")
    end
  end
end

local function check(container)
  local kernel, state = container.engine.kernel, container.state.health
  local began, texts = kernel.clock, {}
  local round = {} -- done: it has its result; limit: the step that ends it
  local function finish(code)
    if round.done or container.state.health ~= state then
      return
    end
    round.done, round.limit.fn = true, nil
    note(container, began, code, table.concat(texts))
    check_later(container)
    kernel:changed()
  end
  round.limit = kernel:at(kernel.clock + seconds(container.config.Healthcheck.Timeout, TIMEOUT_S), function()
    texts = { ("Health check exceeded timeout (%s)"):format(container.config.Healthcheck.Timeout or "30s") }
    finish(-1)
    round.process:kill()
  end)
  local ok, err = pcall(function()
    round.process = exec.probe(container, command_of(container.config.Healthcheck.Test), function(_, bytes)
      texts[#texts + 1] = bytes
    end, finish)
  end)
  if not ok then
    container.failure = container.failure or err
  end
end

function check_later(container)
  local kernel = container.engine.kernel
  local interval = seconds(container.config.Healthcheck.Interval, INTERVAL_S)
  container.health_step = kernel:at(kernel.clock + interval, function()
    if container.state.paused then
      return check_later(container)
    end
    check(container)
  end)
end

-- A container with a health check has started.
function health.begin(container)
  local settings = container.config.Healthcheck
  if not settings or not command_of(settings.Test) then
    container.state.health = nil
    return
  end
  container.state.health = { status = "starting", streak = 0, log = {} }
  check_later(container)
end

function health.stop(container)
  if container.health_step then
    container.health_step.fn = nil
  end
  if container.state.health and container.state.health.status ~= "unhealthy" then
    container.state.health.status = "unhealthy"
  end
end

-- As inspect tells it; nil: there is no health check.
function health.body(container)
  local state = container.state.health
  return state and { Status = state.status, FailingStreak = state.streak, Log = json.array(state.log) } or nil
end

return health
