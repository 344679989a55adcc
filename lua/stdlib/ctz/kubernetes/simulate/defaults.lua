-- kubernetes/simulate/defaults.lua: what an API server fills in.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes 1.37, pkg/apis/*/v1/defaults.go.
local values = require "ctz.kubernetes.simulate.values"

local ipairs, next, pairs, tonumber, tostring, type = ipairs, next, pairs, tonumber, tostring, type

local table_of = values.table_of

local function default(object, field, value)
  if not values.is_given(object[field]) then
    object[field] = value
  end
end

local function fill(object, fields)
  for field, value in next, fields do
    default(object, field, value)
  end
end

-- --- pods ----------------------------------------------------------------------------------------

local function probe(one)
  if type(one) ~= "table" then
    return
  end
  fill(one, { failureThreshold = 3, periodSeconds = 10, successThreshold = 1, timeoutSeconds = 1 })
  if type(one.httpGet) == "table" then
    fill(one.httpGet, { path = "/", scheme = "HTTP" })
  end
end

local function pull_policy(image)
  local tag = tostring(image):match ":([^:/]+)$"
  return (not tag and not tostring(image):find("@", 1, true) or tag == "latest") and "Always" or "IfNotPresent"
end

local function container(one)
  fill(one, {
    imagePullPolicy = pull_policy(one.image or ""), resources = {}, terminationMessagePath = "/dev/termination-log",
    terminationMessagePolicy = "File",
  })
  for _, port in ipairs(table_of(one.ports)) do
    default(port, "protocol", "TCP")
  end
  for _, variable in ipairs(table_of(one.env)) do
    local reference = table_of(table_of(variable.valueFrom).fieldRef)
    if reference.fieldPath then
      default(reference, "apiVersion", "v1")
    end
  end
  for _, field in ipairs { "livenessProbe", "readinessProbe", "startupProbe" } do
    probe(one[field])
  end
end

local MODES <const> = { configMap = 420, secret = 420, projected = 420, downwardAPI = 420 }

local function pod_spec(spec)
  fill(spec, {
    dnsPolicy = "ClusterFirst", restartPolicy = "Always", schedulerName = "default-scheduler", securityContext = {},
    terminationGracePeriodSeconds = 30,
  })
  for _, field in ipairs { "initContainers", "containers", "ephemeralContainers" } do
    for _, one in ipairs(table_of(spec[field])) do
      container(one)
    end
  end
  for _, volume in ipairs(table_of(spec.volumes)) do
    for field, mode in next, MODES do
      if type(volume[field]) == "table" then
        default(volume[field], "defaultMode", mode)
      end
    end
    local has_source = false
    for field in next, volume do
      has_source = has_source or field ~= "name"
    end
    if not has_source then
      volume.emptyDir = {}
    end
  end
  if spec.serviceAccountName then
    default(spec, "serviceAccount", spec.serviceAccountName)
  end
end

local function template(spec)
  local own = table_of(spec.template)
  if type(own.spec) == "table" then
    default(own, "metadata", {})
    pod_spec(own.spec)
  end
end

-- --- kinds ---------------------------------------------------------------------------------------

local of <const> = {} -- what is in the form of a kind
local rest <const> = {} -- what is found out for an object

-- What a container asks for is what it is limited to, where nothing else is said.
local function requests(one)
  local resources = table_of(one.resources)
  for name, limit in pairs(table_of(resources.limits)) do -- requests are the limits where they are not set
    resources.requests = table_of(resources.requests)
    default(resources.requests, name, limit)
  end
end

function of.Pod(object)
  pod_spec(object.spec)
  for _, field in ipairs { "initContainers", "containers" } do
    for _, one in ipairs(table_of(object.spec[field])) do
      requests(one)
    end
  end
  fill(object.spec, { enableServiceLinks = true })
end

function of.PodTemplate(object)
  if type(object.template) == "table" and type(object.template.spec) == "table" then
    pod_spec(object.template.spec)
    default(object.template, "metadata", {})
  end
end

function of.Deployment(object)
  local spec = object.spec
  fill(spec, { replicas = 1, revisionHistoryLimit = 10, progressDeadlineSeconds = 600, strategy = {} })
  default(spec.strategy, "type", "RollingUpdate")
  if spec.strategy.type == "RollingUpdate" then
    default(spec.strategy, "rollingUpdate", {})
    fill(spec.strategy.rollingUpdate, { maxSurge = "25%", maxUnavailable = "25%" })
  end
  template(spec)
end

function of.ReplicaSet(object)
  default(object.spec, "replicas", 1)
  template(object.spec)
end

of.ReplicationController = of.ReplicaSet

function of.StatefulSet(object)
  local spec = object.spec
  fill(spec, {
    replicas = 1, revisionHistoryLimit = 10, podManagementPolicy = "OrderedReady", updateStrategy = {},
    persistentVolumeClaimRetentionPolicy = {},
  })
  fill(spec.persistentVolumeClaimRetentionPolicy, { whenDeleted = "Retain", whenScaled = "Retain" })
  default(spec.updateStrategy, "type", "RollingUpdate")
  if spec.updateStrategy.type == "RollingUpdate" then
    default(spec.updateStrategy, "rollingUpdate", {})
    fill(spec.updateStrategy.rollingUpdate, { maxUnavailable = 1, partition = 0 })
  end
  template(spec)
end

function of.DaemonSet(object)
  local spec = object.spec
  fill(spec, { revisionHistoryLimit = 10, updateStrategy = {} })
  default(spec.updateStrategy, "type", "RollingUpdate")
  if spec.updateStrategy.type == "RollingUpdate" then
    default(spec.updateStrategy, "rollingUpdate", {})
    fill(spec.updateStrategy.rollingUpdate, { maxSurge = 0, maxUnavailable = 1 })
  end
  template(spec)
end

local function job_spec(spec)
  fill(spec, {
    backoffLimit = 6, completionMode = "NonIndexed", manualSelector = false, parallelism = 1,
    podReplacementPolicy = "TerminatingOrFailed", suspend = false,
  })
  if spec.parallelism == 1 then
    default(spec, "completions", 1)
  end
  template(spec)
end

function of.Job(object)
  job_spec(object.spec)
end

-- The server chooses a job's selector.
function rest.Job(object)
  local spec, uid = object.spec, object.metadata.uid
  if spec.manualSelector or spec.selector or not uid then
    return
  end
  local labels = {
    ["batch.kubernetes.io/controller-uid"] = uid, ["batch.kubernetes.io/job-name"] = object.metadata.name,
    ["controller-uid"] = uid, ["job-name"] = object.metadata.name,
  }
  spec.selector = { matchLabels = { ["batch.kubernetes.io/controller-uid"] = uid } }
  local meta = spec.template.metadata
  meta.labels, object.metadata.labels = table_of(meta.labels), table_of(object.metadata.labels)
  for name, value in next, labels do
    meta.labels[name] = value
    default(object.metadata.labels, name, value)
  end
end

function of.CronJob(object)
  fill(object.spec, {
    concurrencyPolicy = "Allow", failedJobsHistoryLimit = 1, successfulJobsHistoryLimit = 3, suspend = false,
  })
  local jobs = table_of(object.spec.jobTemplate)
  default(jobs, "metadata", {})
  if type(jobs.spec) == "table" then
    template(jobs.spec)
  end
end

local function address(namespace, name)
  local text = require("ctz.hash").sha256(namespace .. "/" .. name)
  return ("10.96.%d.%d"):format(tonumber(text:sub(1, 2), 16), tonumber(text:sub(3, 4), 16) % 254 + 1)
end

local function node_port(state, port)
  if not port.nodePort then
    state.next_port = (state.next_port or 30000) + 1
    port.nodePort = state.next_port - 1
  end
end

function of.Service(object)
  local spec = object.spec
  fill(spec, { type = "ClusterIP", sessionAffinity = "None" })
  for _, port in ipairs(table_of(spec.ports)) do
    default(port, "protocol", "TCP")
    default(port, "targetPort", port.port)
  end
  if spec.type ~= "ExternalName" then
    default(spec, "internalTrafficPolicy", "Cluster")
  end
  if spec.type == "NodePort" or spec.type == "LoadBalancer" then
    default(spec, "externalTrafficPolicy", "Cluster")
    if spec.type == "LoadBalancer" then
      default(spec, "allocateLoadBalancerNodePorts", true)
    end
  end
end

function rest.Service(object, state)
  local spec = object.spec
  for _, port in ipairs(spec.type ~= "ClusterIP" and spec.type ~= "ExternalName" and table_of(spec.ports) or {}) do
    node_port(state, port)
  end
  if spec.type ~= "ExternalName" then
    default(spec, "clusterIP", address(object.metadata.namespace, object.metadata.name))
    fill(spec, {
      clusterIPs = values.list { spec.clusterIP }, ipFamilies = values.list { "IPv4" }, ipFamilyPolicy = "SingleStack",
    })
  end
end

function of.Secret(object)
  default(object, "type", "Opaque")
  for name, text in next, table_of(object.stringData) do
    object.data = table_of(object.data)
    object.data[name] = require("ctz.base64").encode(text)
  end
  object.stringData = nil
end

function of.Namespace(object)
  object.metadata.labels = table_of(object.metadata.labels)
  object.metadata.labels["kubernetes.io/metadata.name"] = object.metadata.name
end

function rest.Namespace(object)
  default(object, "spec", { finalizers = values.list { "kubernetes" } })
end

function of.PersistentVolumeClaim(object)
  default(object.spec, "volumeMode", "Filesystem")
end

function of.CustomResourceDefinition(object)
  local names = object.spec.names
  default(names, "singular", names.kind:lower())
  default(names, "listKind", names.kind .. "List")
  default(object.spec, "conversion", { strategy = "None" })
end

function of.HorizontalPodAutoscaler(object)
  default(object.spec, "minReplicas", 1)
end

-- The status of a new object.
local STATUS <const> = {
  CronJob = {}, DaemonSet = {
    currentNumberScheduled = 0, desiredNumberScheduled = 0, numberMisscheduled = 0, numberReady = 0,
  }, Deployment = {}, Ingress = { loadBalancer = {} }, Job = {}, Namespace = { phase = "Active" },
  PersistentVolumeClaim = { phase = "Pending" }, ReplicaSet = { replicas = 0 }, ResourceQuota = {},
  Service = { loadBalancer = {} }, StatefulSet = { availableReplicas = 0, replicas = 0 },
}

local function has_form(resource, object)
  return resource.kind == "Namespace" or resource.kind == "Secret" or resource.kind == "PodTemplate"
    or type(object.spec) == "table"
end

-- form(resource, object): what everybody who writes such an object has written with it.
local function form(resource, object)
  local filler = not resource.is_custom and of[resource.kind]
  if filler and has_form(resource, object) then
    filler(object)
  end
end

-- rest(state, resource, object): what the server finds out for it.
local function find_out(state, resource, object)
  local filler = not resource.is_custom and rest[resource.kind]
  if filler and has_form(resource, object) then
    filler(object, state)
  end
  local status = not resource.is_custom and STATUS[resource.kind]
  if status then
    default(object, "status", values.copy(status))
  end
end

return { form = form, rest = find_out }
