-- drain-and-upgrade.lua: upgrades the nodes of a Kubernetes cluster, one after the other, without losing what runs.
--
-- For each node of the selector: cordon, drain (budgets are respected), run the command, wait until the node is Ready
-- again, uncordon. What is done is written on the node, so a run that was broken off goes on where it stopped when it
-- is started again with the same `release`; the command may then run a second time. Nodes that are done are passed
-- over; a node that somebody had cordoned before stays so. The first failure ends the run: that node stays cordoned.
--
-- In the command {node} is the node's name and {release} the release; CTZ_NODE and CTZ_RELEASE are set, too.
--
-- Usage:       ctz run [--dry-run] recipes/drain-and-upgrade.lua release=v1.37.2 selector=pool=blue [force=true]
--                [drain=600] [ready=600] [version=v1.37.2] -- ssh {node} sudo upgrade-node {release}
-- Parameters:  release   a name for this upgrade: what a broken-off run goes on with
--              selector  labels of the nodes
--              force     true: also pods that no controller makes anew
--              drain     seconds that the pods of a node may take to go
--              ready     seconds until the node is Ready after the command
--              version   the kubelet's version that a node has to tell before it counts as Ready
-- Needs:       a kubeconfig, as kubectl does, of a user who may change nodes and evict pods
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "release", "string", help = "a name for this upgrade" },
  { "selector", "string", help = "labels of the nodes" },
  { "force", "bool", default = false, help = "also pods that no controller makes anew" },
  { "drain", "seconds", default = 600, help = "that the pods of a node may take to go" },
  { "ready", "seconds", default = 600, help = "until the node is Ready after the command" },
  { "version", "string", default = "", help = "the kubelet's version that a node has to tell" },
}
if #ctz.args == 0 then
  ctz.fail("the command that upgrades a node is missing: -- ssh {node} upgrade", { code = 2 })
end

local DONE <const> = "ctz.upgrade/done" -- annotations: the release
local STEP <const> = "ctz.upgrade/step" -- "<release> drain", "<release> upgrade"
local KEEP <const> = "ctz.upgrade/keep-cordoned" -- somebody had cordoned it before

local k = ctz.kubernetes.connect()
local null, dry <const> = ctz.json.null, ctz.mode().dry_run

local function say(name, text, ...)
  print(("%s: %s"):format(name, text:format(...)))
end

local function note(name, notes)
  k:patch("node/" .. name, { metadata = { annotations = notes } }, { type = "merge" })
end

local function command_for(name)
  local words = {}
  for i, word in ipairs(ctz.args) do
    words[i] = word:gsub("{(%w+)}", { node = name, release = p.release })
  end
  return words
end

local function notes_of(node)
  return node.metadata.annotations or {}
end

-- The step that a run before was at, nil when there was none of this release.
local function step_of(node)
  local release, step = (notes_of(node)[STEP] or ""):match "^(.*) (%l+)$"
  return release == p.release and step or nil
end

local function drain(name)
  say(name, "drain")
  local result = k:drain(name, {
    ignore_daemonsets = true, delete_emptydir_data = true, force = p.force, timeout = p.drain,
    on_progress = function(step)
      if step.event == "blocked" or step.event == "evicted" then
        say(name, "  %s", step.text)
      end
    end,
  })
  say(name, "%d pods are gone, %d stay", #result.evicted, #result.skipped)
end

local function run(name)
  local words = command_for(name)
  say(name, "%s %s", dry and "would run" or "run", table.concat(words, " "))
  if not dry then
    local env = { CTZ_NODE = name, CTZ_RELEASE = p.release }
    ctz.process.run(words, { env = env, stdout = "inherit", stderr = "inherit" })
  end
end

local function is_ready(node)
  for _, condition in ipairs(node.status.conditions or {}) do
    if condition.type == "Ready" then
      return condition.status == "True" and (p.version == "" or node.status.nodeInfo.kubeletVersion == p.version)
    end
  end
  return false
end

local function wait_ready(name)
  say(name, "wait until it is Ready")
  local last = "nothing was heard of it"
  local _, err = ctz.try(ctz.timeout, p.ready, function()
    for event in k:watch("nodes", { name = name }) do
      local node = event.object
      if node and event.type ~= "deleted" then
        if is_ready(node) then
          return
        end
        last = ("its kubelet is %s"):format(node.status.nodeInfo.kubeletVersion)
      end
    end
  end)
  if err and err.kind == "timeout" then
    ctz.fail(("node %s is not Ready after %g s: %s"):format(name, p.ready, last))
  elseif err then
    error(err, 0)
  end
end

local function upgrade(node)
  local name, step = node.metadata.name, step_of(node)
  if step then
    say(name, "goes on at: %s", step)
  else
    note(name, { [STEP] = p.release .. " drain", [KEEP] = node.spec.unschedulable and "true" or null })
  end
  if step ~= "ready" then
    drain(name)
    run(name)
    note(name, { [STEP] = p.release .. " ready" })
  end
  if not dry then
    wait_ready(name)
  end
  if notes_of(k:get("node", name))[KEEP] ~= "true" then
    k:uncordon(name)
  end
  note(name, { [STEP] = null, [KEEP] = null, [DONE] = p.release })
  say(name, "done")
end

local nodes = k:list("nodes", { labels = p.selector }).items
if #nodes == 0 then
  ctz.fail(("no node has the labels %s"):format(p.selector))
end
local done, passed = {}, {}
for _, node in ipairs(nodes) do
  if notes_of(node)[DONE] == p.release then
    passed[#passed + 1] = node.metadata.name
  else
    upgrade(node)
    done[#done + 1] = node.metadata.name
  end
end
print(("%d nodes upgraded, %d were done before"):format(#done, #passed))
return { release = p.release, upgraded = ctz.json.array(done), done_before = ctz.json.array(passed) }
