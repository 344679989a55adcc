-- kubernetes/simulate/probes.lua: whether a container is ready, started and alive.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/kubelet/prober/worker.go.
local actor = require "ctz.kubernetes.simulate.actor"
local exec = require "ctz.docker.simulate.exec"
local refusal = require "ctz.kubernetes.simulate.refusal"
local runtime = require "ctz.kubernetes.simulate.runtime"
local system = require "ctz.docker.simulate.system"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, pcall, type = ipairs, pcall, type

local RUNS_S <const> = 0.005 -- a container that lives so long has begun

local table_of = values.table_of

local probes = {}

local function port_of(spec, port)
  if type(port) == "number" then
    return port
  end
  for _, one in ipairs(table_of(spec.ports)) do
    if one.name == port then
      return one.containerPort
    end
  end
end

-- Asks once; told(is_good, words)
local function ask(state, spec, probe, container, told)
  if probe.exec then
    local parts, is_over = {}, false
    local process = exec.probe(container, probe.exec.command, function(_, bytes)
      parts[#parts + 1] = bytes
    end, function(code)
      if not is_over then
        is_over = true
        told(code == 0, table.concat(parts))
      end
    end)
    state.kernel:at(state.kernel.clock + (probe.timeoutSeconds or 1), function()
      if not is_over then
        is_over = true
        process:kill(9)
        told(false, "command timed out")
      end
    end)
    return
  elseif probe.grpc then
    refusal.unsupported "probes by gRPC"
  end
  local place = probe.httpGet or probe.tcpSocket
  local port = port_of(spec, place.port)
  if probe.tcpSocket then
    local answers = port and system.answers(state.engine, container.id, port)
    return told(answers == true, ("dial tcp: port %s: connect: connection refused"):format(place.port))
  end
  local status = port and system.answers(state.engine, container.id, port, place.path or "/")
  if not status then
    return told(false, ('Get "http://%s%s": connect: connection refused'):format(place.port, place.path or "/"))
  end
  return told(status >= 200 and status < 400, ("HTTP probe failed with statuscode: %d"):format(status))
end

-- Asks again and again while the container runs. on_change(is_good) is called when a threshold is reached.
local function follow(state, pod, spec, one, probe, name, on_change)
  local container, good, bad = one.current, 0, 0
  local function again(due)
    state.kernel:at(due, function()
      if one.current ~= container or not container.state.running or container.is_stopping then
        return
      end
      local done, err = pcall(ask, state, spec, probe, container, function(is_good, words)
        good, bad = is_good and good + 1 or 0, is_good and 0 or bad + 1
        if is_good and good >= (probe.successThreshold or 1) then
          on_change(true)
        elseif not is_good then
          actor.tell(state, pod, "Warning", "Unhealthy", ("%s probe failed: %s"):format(name, words), "kubelet")
          if bad >= (probe.failureThreshold or 3) then
            on_change(false)
          end
        end
        state:wake(0)
      end)
      if not done then
        state.failure = state.failure or err
      end
      again(state.kernel.clock + (probe.periodSeconds or 10))
    end)
  end
  again(state.kernel.clock + RUNS_S + (probe.initialDelaySeconds or 0))
end

local function restart(state, pod, one, name)
  local container = one.current
  container.is_stopping = true
  actor.tell(state, pod, "Normal", "Killing", ("Container %s failed %s probe, will be restarted"):format(one.name,
    name:lower()), "kubelet")
  runtime.signal(state, container, "TERM")
  state.kernel:at(state.kernel.clock + (pod.spec.terminationGracePeriodSeconds or 30), function()
    runtime.signal(state, container, "KILL")
  end)
end

local function after_start(state, pod, spec, one)
  one.started = true
  if spec.livenessProbe then
    follow(state, pod, spec, one, spec.livenessProbe, "Liveness", function(is_good)
      if not is_good and not one.current.is_stopping then
        restart(state, pod, one, "Liveness")
      end
    end)
  end
  if spec.readinessProbe then
    follow(state, pod, spec, one, spec.readinessProbe, "Readiness", function(is_good)
      one.ready = is_good
    end)
  else
    one.ready = true
  end
end

-- begin(state, pod, spec, one): one.current has just started.
function probes.begin(state, pod, spec, one)
  local container = one.current
  if not spec.startupProbe then
    after_start(state, pod, spec, one)
    return
  end
  follow(state, pod, spec, one, spec.startupProbe, "Startup", function(is_good)
    if one.current ~= container or one.started then
      return
    elseif is_good then
      after_start(state, pod, spec, one)
    else
      restart(state, pod, one, "Startup")
    end
  end)
end

return probes
