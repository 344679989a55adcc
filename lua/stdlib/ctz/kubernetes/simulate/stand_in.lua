-- kubernetes/simulate/stand_in.lua: which simulated cluster stands in the place of a real one, if any.
-- SPDX-License-Identifier: MIT
local host = require "ctz.core.host"

local io, require = io, require

local SIMULATES <const> = host.mode().simulate

local stand_in = {}

local current -- the cluster that a test put in (see ctz.simulate)
local clusters = {} -- of a run with --simulate: by what they are called
local has_told = false

-- The run's first line, before anything is asked of a simulated cluster.
local function announce()
  if not has_told then
    has_told = true
    io.stderr:write "simulated: no cluster is used\n"
  end
end

-- The cluster of a test, nil when there is none.
function stand_in.current()
  return current
end

-- From now on this cluster is meant by all that connects; nil: none.
function stand_in.put(cluster)
  current = cluster
end

-- The client for the options of kubernetes.connect, nil when real clusters are meant. Under --simulate there is
-- one cluster for each context that is named, whose namespaces are made when a client begins in them.
function stand_in.client(opts)
  if not current and not SIMULATES then
    return nil
  end
  local simulate = require "ctz.kubernetes.simulate"
  if current then
    return simulate.new_client(current, opts)
  end
  local name = opts.context or ""
  clusters[name] = clusters[name] or simulate.new_cluster {}
  if opts.namespace then
    require("ctz.kubernetes.simulate.controllers").begin_namespace(clusters[name], opts.namespace)
  end
  return simulate.new_client(clusters[name], opts, announce)
end

return stand_in
