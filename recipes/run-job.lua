-- run-job.lua: runs a command once in a Kubernetes cluster, as a Job: its log is printed as it comes, its exit code is
-- the recipe's.
--
-- Ctrl-C, and every other end before the one of the Job, deletes the Job and its pods. A Job that has ended stays for
-- `ttl` seconds, so that it can be looked at. What keeps it from running (the image, no room) ends the recipe with the
-- reason. With --json the log is on stderr, and stdout is one document: the record of the Job that has ended, or the
-- error.
--
-- Usage:       ctz run [--json] recipes/run-job.lua name=NAME image=IMAGE [namespace=...] [retries=0] [ttl=300]
--                [wait=3600] [-- COMMAND...]
-- Parameters:  name       of the Job; one of this name may not be there
--              image      what it runs
--              namespace  default: that of the kubeconfig's context
--              retries    pods that are tried after one that failed
--              ttl        seconds that the Job is kept after its end
--              wait       seconds that it may take
-- Needs:       a kubeconfig, as kubectl does
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "name", "string", help = "of the Job" },
  { "image", "ref", help = "what it runs" },
  { "namespace", "string", default = "", help = "default: that of the kubeconfig's context" },
  { "retries", "int", default = 0, help = "pods that are tried after one that failed" },
  { "ttl", "int", default = 300, help = "seconds that the Job is kept after its end" },
  { "wait", "seconds", default = 3600, help = "that it may take" },
}

local k = ctz.kubernetes.connect { namespace = p.namespace ~= "" and p.namespace or nil }
local out = ctz.mode().json and io.stderr or io.stdout
local readers = {} -- pod -> the task that prints its log

local function read_log(scope, pod)
  readers[pod] = readers[pod] or scope:spawn(function()
    for line in k:logs(pod, { follow = true }) do
      out:write(line.text, "\n")
    end
  end)
end

-- Reads the log of each pod as soon as it has begun.
local function read_logs(scope)
  for event in k:watch("pods", { labels = { ["job-name"] = p.name } }) do
    local pod = event.type ~= "sync" and event.type ~= "deleted" and event.object
    if pod and pod.status.phase ~= "Pending" then
      read_log(scope, pod.metadata.name)
    end
  end
end

local job = k:create(ctz.kubernetes.job {
  name = p.name,
  image = p.image,
  command = #ctz.args > 0 and { table.unpack(ctz.args) } or nil,
  backoff_limit = p.retries,
  keep_for = p.ttl,
})
local ended = false
ctz.defer(function()
  if not ended then
    k:delete(job, { propagation = "background", absent_ok = true })
    io.stderr:write(("job %s is deleted\n"):format(p.name))
  end
end)

local record, err = ctz.scope(function(scope)
  scope:spawn(function()
    read_logs(scope)
  end, { background = true })
  local done, failure = ctz.try(ctz.kubernetes.orchestrate, { client = k, deployment_name = p.name, timeout = p.wait })
  local result = done or failure.result
  for _, pod in ipairs(result and result.pods or {}) do
    if pod.status ~= "pending" then
      read_log(scope, pod.name) -- what ended faster than it was seen
    end
  end
  return result, failure
end)

local code = 0
for _, pod in ipairs(err and record and record.pods or {}) do
  code = pod.exit_code or code
end
if err and code == 0 then
  error(err, 0)
end
ended = true
local told = {
  name = record.name, namespace = record.namespace, status = record.status, exit_code = code, pods = record.pods,
}
if err then
  io.stderr:write(("job %s failed: its pod ended with %d\n"):format(p.name, code))
  if ctz.mode().json then
    print(ctz.json.encode(told))
  end
  os.exit(code)
end
return told
