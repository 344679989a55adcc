-- deploy.lua: puts an image into a Kubernetes cluster, waits until it runs, and goes back by itself when it does not.
--
-- The deployment is made when there is none. When its pods do not get ready, the reason (the image, a crash with its
-- last lines, no room, a quota) is in the error, and the form that ran before is put back first.
--
-- Usage:       ctz run recipes/deploy.lua name=NAME image=IMAGE [namespace=...] [replicas=1] [port=...] [wait=300]
--                [-- COMMAND...]
-- Parameters:  name       of the deployment
--              image      what it runs
--              namespace  default: that of the kubeconfig's context
--              replicas   how many
--              port       of the container
--              wait       seconds until all replicas have to be ready
-- Needs:       a kubeconfig, as kubectl does
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "name", "string", help = "of the deployment" },
  { "image", "ref", help = "what it runs" },
  { "namespace", "string", default = "", help = "default: that of the kubeconfig's context" },
  { "replicas", "int", default = 1, help = "how many" },
  { "port", "int", default = 0, help = "of the container; 0: none" },
  { "wait", "seconds", default = 300, help = "until all replicas have to be ready" },
}

local k = ctz.kubernetes.connect { namespace = p.namespace ~= "" and p.namespace or nil }
local target = "deployment/" .. p.name

local before, missing = ctz.try(k.get, k, target)
if not before and missing.kind ~= "not_found" then
  error(missing, 0)
end

k:apply(ctz.kubernetes.deployment {
  name = p.name,
  namespace = k.namespace,
  image = p.image,
  command = #ctz.args > 0 and { table.unpack(ctz.args) } or nil,
  replicas = p.replicas,
  ports = p.port > 0 and { p.port } or nil,
})
print(("%s in %s of %s: %s, %d replicas"):format(target, k.namespace, k.context, p.image, p.replicas))

local rollout = k:rollout(target)
local ready, err = ctz.try(rollout.status, rollout, {
  timeout = p.wait,
  on_progress = function(step)
    print("  " .. step.text)
  end,
})

if not ready then
  if before then
    rollout:undo()
    rollout:status { timeout = p.wait }
    print(("rolled back to %s"):format(before.spec.template.spec.containers[1].image))
  end
  error(err, 0)
end

print(("%d of %d replicas run %s"):format(ready.status.availableReplicas or 0, p.replicas, p.image))
return { name = p.name, namespace = k.namespace, image = p.image, replicas = ready.status.availableReplicas }
