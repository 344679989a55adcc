-- kubernetes/simulate/controllers.lua: what happens by itself in a simulated cluster, one look at all of it.
-- SPDX-License-Identifier: MIT
local budgets = require "ctz.kubernetes.simulate.budgets"
local core = require "ctz.kubernetes.simulate.core"
local deployments = require "ctz.kubernetes.simulate.deployments"
local jobs = require "ctz.kubernetes.simulate.jobs"
local kubelet = require "ctz.kubernetes.simulate.kubelet"
local scheduler = require "ctz.kubernetes.simulate.scheduler"
local sets = require "ctz.kubernetes.simulate.sets"

local ipairs = ipairs

local controllers = {}

local ALL <const> = {
  core.namespaces, core.definitions, core.garbage, deployments.run, deployments.sets, sets.run, jobs.run,
  scheduler.run, kubelet.run, budgets.run,
}

-- Each sees what those before it did; what changes something is looked at again.
function controllers.run(state)
  for _, one in ipairs(ALL) do
    one(state)
  end
end

function controllers.setup(state)
  kubelet.setup(state)
  core.setup(state)
end

controllers.begin_namespace = core.begin_namespace

return controllers
