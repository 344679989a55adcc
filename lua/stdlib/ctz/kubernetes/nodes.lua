-- kubernetes/nodes.lua: nodes that take no new pods, and nodes that are emptied.
-- SPDX-License-Identifier: MIT
-- Source: kubectl, pkg/cmd/drain.
local check = require("ctz.options").check
local drains = require "ctz.kubernetes.drain"
local failure = require "ctz.kubernetes.failure"
local json = require "ctz.json"
local targets = require "ctz.kubernetes.targets"

local ipairs, next, type = ipairs, next, type

local DRAIN <const> = "kubernetes.drain"
local RETRY_S <const> = 5 -- between two tries of what a budget refuses, as kubectl has it

local function path_of(name)
  return "/api/v1/nodes/" .. require("ctz.kubernetes.client").escape(name)
end

-- "name", "node/name" or a node -> its name
local function name_of(op, node)
  if type(node) == "table" and type(node.metadata) == "table" then
    node = node.metadata.name
  end
  if type(node) ~= "string" then
    failure.usage(op, "bad argument 'node' to '%s': expected a node's name, or nil and the option selector, got %s", op,
      type(node))
  end
  return targets.check_name(op, node:match "^nodes?/(.*)$" or node)
end

-- The names of the nodes that are meant: one, or those of a selector.
local function names_of(client, op, node, opts)
  if node ~= nil then
    if opts.selector then
      failure.usage(op, "'%s' takes a node or the option selector, not both", op)
    end
    return { name_of(op, node) }
  elseif not opts.selector then
    failure.usage(op, "'%s' needs a node's name, or nil and the option selector", op)
  end
  local names = {}
  for one in client:each("nodes", { labels = opts.selector }) do
    names[#names + 1] = one.metadata.name
  end
  if #names == 0 then
    failure.fail("not_found", op, ("no node has the labels %s"):format(targets.selector_text(op, "selector",
      opts.selector)))
  end
  return names
end

local function mark(client, op, name, unschedulable, opts)
  return (client:call("PATCH", path_of(name), {
    op = op, target = "node " .. name, content_type = "application/strategic-merge-patch+json",
    json = { spec = { unschedulable = unschedulable or json.null } },
    query = { dryRun = opts.dry_run and "All" or nil, fieldManager = "ctz" },
    plan = ("%s node %s"):format(unschedulable and "cordon" or "uncordon", name),
  }))
end

local function mark_all(client, op, node, unschedulable, opts)
  opts = check(op, opts, { dry_run = "boolean", selector = "string|table" })
  local nodes = {}
  for i, name in ipairs(names_of(client, op, node, opts)) do
    nodes[i] = mark(client, op, name, unschedulable, opts)
  end
  if node ~= nil then
    return nodes[1]
  end
  return nodes
end

local nodes = {}

--- client:cordon(node, opts?) -> table
--- No new pods are put on the node; those that run go on. With nil and a selector: on all these nodes; then
--- a list is returned.
--- @async
--- @param node string|table|nil  "node-1", "node/node-1", a node object
--- @param opts.selector? string|table  labels of nodes, where no node is named
--- @param opts.dry_run? boolean
--- @return table  the node
--- @error not_found  there is none
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:cordon("node-1")
--- Api: kubectl cordon
function nodes.cordon(client, node, opts)
  return mark_all(client, "kubernetes.cordon", node, true, opts)
end

--- client:uncordon(node, opts?) -> table
--- The node takes pods again.
--- @async
--- @param node string|table|nil
--- @param opts.selector? string|table  labels of nodes, where no node is named
--- @param opts.dry_run? boolean
--- @return table  the node
--- @error not_found  there is none
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:uncordon("node-1")
--- Api: kubectl uncordon
function nodes.uncordon(client, node, opts)
  return mark_all(client, "kubernetes.uncordon", node, false, opts)
end

local OPTIONS <const> = {
  delete_emptydir_data = "boolean", disable_eviction = "boolean", dry_run = "boolean", force = "boolean",
  grace_period = "seconds", ignore_daemonsets = "boolean", on_progress = "function", pod_selector = "string|table",
  retry = "seconds", selector = "string|table", timeout = "seconds",
}

local function append(list, more)
  for _, one in ipairs(more) do
    list[#list + 1] = one
  end
end

--- client:drain(node, opts?) -> {nodes: string[], evicted: table[], skipped: table[]}
--- Cordons a node and evicts its pods, as kubectl does; it returns when they are gone. Budgets
--- (PodDisruptionBudget) are respected: what one refuses is asked for again until it is granted, and which
--- budget it is, is told. Pods of DaemonSets, with local storage and those that nothing makes anew are
--- refused, all in one error, before anything is evicted, unless the options say otherwise; static pods stay.
--- @async
--- @param node string|table|nil  "node-1", "node/node-1", a node object
--- @param opts.selector? string|table  labels of nodes, where no node is named: one after the other
--- @param opts.ignore_daemonsets? boolean  their pods stay
--- @param opts.delete_emptydir_data? boolean  also pods whose emptyDir is lost
--- @param opts.force? boolean  also pods that no controller makes anew
--- @param opts.pod_selector? string|table  only pods with these labels
--- @param opts.grace_period? ctz.seconds  for the pods to end, default: each pod's own
--- @param opts.disable_eviction? boolean  delete them, whatever the budgets say
--- @param opts.retry? ctz.seconds  between two tries of what a budget refuses, default 5
--- @param opts.timeout? ctz.seconds  for each node; default: without an end
--- @param opts.dry_run? boolean  the server checks it, and evicts nothing
--- @param opts.on_progress? fun(step: table)  {event="cordoned"|"skipped"|"evicting"|"blocked"|"evicted", text,
---   node, namespace, pod}; of "blocked" {budgets={{name, allowed, current, desired, expected}}}
--- @return table  {nodes={name}, evicted={{namespace, name, uid, node}}, skipped={{namespace, name, node, reason}}}
--- @error conflict  some pods may not be evicted; err.problems has {reason, option, pods} of each kind
--- @error timeout  pods are left; err.left has {namespace, name, reason, budgets} of each
--- @error not_found  there is no such node
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:drain("node-1", {ignore_daemonsets=true, timeout=300})
--- Api: kubectl drain; Kubernetes API v1, POST /api/v1/namespaces/{ns}/pods/{name}/eviction
function nodes.drain(client, node, opts)
  opts = check(DRAIN, opts, OPTIONS)
  local settings = { retry = RETRY_S }
  for name, value in next, opts do
    settings[name] = value
  end
  local names = names_of(client, DRAIN, node, opts)
  for _, name in ipairs(names) do
    mark(client, DRAIN, name, true, opts)
    if opts.on_progress then
      opts.on_progress { event = "cordoned", node = name, text = "cordoned " .. name }
    end
  end
  local result = { nodes = names, evicted = {}, skipped = {} }
  for _, name in ipairs(names) do
    local evicted, skipped = drains.node(client, name, settings)
    append(result.evicted, evicted)
    append(result.skipped, skipped)
  end
  return result
end

return nodes
