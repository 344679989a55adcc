-- kubernetes/simulate/runtime.lua: a container of a pod as one of the simulated engine's: image, environment, volumes.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/kubelet/kubelet_pods.go, pkg/kubelet/images.
local base64 = require "ctz.base64"
local files_of = require "ctz.docker.simulate.files"
local images = require "ctz.docker.simulate.images"
local refusal = require "ctz.kubernetes.simulate.refusal"
local sorted_keys = require("ctz.problems").sorted_keys
local values = require "ctz.kubernetes.simulate.values"

local error, ipairs, pairs, pcall, tonumber, tostring, type = error, ipairs, pairs, pcall, tonumber, tostring, type
local gsub = string.gsub

local table_of = values.table_of

local runtime = {}

-- Fails with what a kubelet would show as the reason of a waiting container.
local function fail(reason, text, ...)
  error({ waiting = reason, message = text:format(...) }, 0)
end

-- --- images ----------------------------------------------------------------------------------------

-- A name of the domain that never is (RFC 2606).
local function is_nowhere(name)
  return (name:match "^([^/]+)/" or ""):gsub(":%d+$", ""):find "%.invalid$" ~= nil
end

local function why_not(state, name)
  if is_nowhere(name) then
    local host = name:match "^([^/]+)/"
    return ('failed to do request: Head "https://%s/v2/": dial tcp: lookup %s: no such host'):format(host,
      (host:gsub(":%d+$", "")))
  end
  local tag = name:match ":([^:/]+)$"
  local done, err = pcall(images.pull, state.engine, { fromImage = tag and name:sub(1, -#tag - 2) or name,
    tag = tag or not name:find("@", 1, true) and "latest" or nil })
  if not done then
    return err.words or err.message or tostring(err)
  end
end

-- runtime.pull(state, container) -> true; raises a waiting reason. tell(kind, reason, text) tells events.
function runtime.pull(state, container, tell)
  local name, policy = container.image, container.imagePullPolicy
  local found = images.find(state.engine, name)
  if found and policy ~= "Always" then
    tell("Normal", "Pulled", ("Container image %q already present on machine and can be accessed by the pod"):format(
      name))
    return true
  elseif policy == "Never" then
    fail("ErrImageNeverPull", "Container image %q is not present with pull policy of Never", name)
  end
  tell("Normal", "Pulling", ("Pulling image %q"):format(name))
  local why = not (found and not state.settings.registry) and why_not(state, name)
  if why then
    local text = ("failed to pull and unpack image %q: failed to resolve reference %q: %s"):format(name, name, why)
    tell("Warning", "Failed", ("Failed to pull image %q: %s"):format(name, text))
    tell("Warning", "Failed", "Error: ErrImagePull")
    fail("ErrImagePull", "%s", text)
  end
  tell("Normal", "Pulled", ("Successfully pulled image %q"):format(name))
  return true
end

-- --- the environment ---------------------------------------------------------------------------------

local function object_of(state, pod, kind, name, optional)
  local object = state:get(state:kind(kind), pod.metadata.namespace, name)
  if not object and not optional then
    fail("CreateContainerConfigError", "%s %q not found", kind:sub(1, -2), name)
  end
  return object
end

local function data_of(object)
  local data = {}
  for name, text in pairs(table_of(object and object.data)) do
    data[name] = object.kind == "Secret" and base64.decode(text) or text
  end
  for name, text in pairs(table_of(object and object.binaryData)) do
    data[name] = base64.decode(text)
  end
  return data
end

local function of_key(state, pod, kind, reference)
  local object = object_of(state, pod, kind, reference.name, reference.optional)
  local text = data_of(object)[reference.key]
  if text == nil and not reference.optional then
    fail("CreateContainerConfigError", "couldn't find key %s in %s %s/%s", reference.key,
      kind == "secrets" and "Secret" or "ConfigMap", pod.metadata.namespace, reference.name)
  end
  return text
end

local function of_field(pod, path)
  local kind, name = path:match "^metadata%.(%l+)%['(.-)'%]$"
  if kind then
    return table_of(pod.metadata[kind])[name] or ""
  elseif path == "status.hostIP" then
    return "10.99.0.1"
  elseif path == "status.podIP" or path == "status.podIPs" then
    return runtime.address(pod)
  end
  local node = pod
  for part in path:gmatch "[^.]+" do
    node = table_of(node)[part]
  end
  if node == nil or type(node) == "table" then
    refusal.unsupported(("the field %q of a pod in its environment"):format(path))
  end
  return tostring(node)
end

local function value_of(state, pod, variable)
  local from = variable.valueFrom
  if type(from) ~= "table" then
    return variable.value or ""
  elseif from.fieldRef then
    return of_field(pod, from.fieldRef.fieldPath)
  elseif from.configMapKeyRef then
    return of_key(state, pod, "configmaps", from.configMapKeyRef)
  elseif from.secretKeyRef then
    return of_key(state, pod, "secrets", from.secretKeyRef)
  end
  return refusal.unsupported "amounts of resources in the environment (resourceFieldRef)"
end

-- $(NAME) is what is known of it, $$ is $.
local function expand(text, env)
  text = gsub(text, "%$%$", "\1")
  text = gsub(text, "%$%(([%w_.-]+)%)", function(name)
    return env[name]
  end)
  return (gsub(text, "\1", "$"))
end

local function expand_all(list, env)
  local result = values.list()
  for i, word in ipairs(table_of(list)) do
    result[i] = expand(word, env)
  end
  return #result > 0 and result or nil
end

local function environment(state, pod, container)
  local env = { KUBERNETES_SERVICE_HOST = "10.96.0.1", KUBERNETES_SERVICE_PORT = "443" }
  for _, from in ipairs(table_of(container.envFrom)) do
    local kind = from.secretRef and "secrets" or "configmaps"
    local reference = from.secretRef or from.configMapRef
    for name, text in pairs(data_of(object_of(state, pod, kind, reference.name, reference.optional))) do
      env[(from.prefix or "") .. name] = text
    end
  end
  for _, variable in ipairs(table_of(container.env)) do
    local value = value_of(state, pod, variable)
    env[variable.name] = value and expand(value, env)
  end
  return env
end

-- --- volumes -----------------------------------------------------------------------------------------

local function put(files, path, text)
  local at = ""
  for part in path:match "^(.*)/[^/]*$":gmatch "[^/]+" do
    at = at .. "/" .. part
    if files:get(at) == nil then
      files:put(at, true)
    end
  end
  files:put(path, text)
end

local function fill_from(files, data, items)
  if type(items) ~= "table" then
    for name, text in pairs(data) do
      put(files, "/" .. name, text)
    end
    return
  end
  for _, item in ipairs(items) do
    if data[item.key] then
      put(files, "/" .. item.path, data[item.key])
    end
  end
end

local function fill_projected(state, pod, files, sources)
  for _, source in ipairs(table_of(sources)) do
    if source.configMap then
      local data = data_of(object_of(state, pod, "configmaps", source.configMap.name, source.configMap.optional))
      fill_from(files, data, source.configMap.items)
    elseif source.secret then
      fill_from(files, data_of(object_of(state, pod, "secrets", source.secret.name, source.secret.optional)),
        source.secret.items)
    elseif source.downwardAPI then
      for _, item in ipairs(table_of(source.downwardAPI.items)) do
        put(files, "/" .. item.path, of_field(pod, item.fieldRef.fieldPath))
      end
    elseif source.serviceAccountToken then
      put(files, "/" .. (source.serviceAccountToken.path or "token"), "simulated")
    else
      refusal.unsupported "this source of a projected volume"
    end
  end
end

local function claim_files(state, pod, name)
  local key = pod.metadata.namespace .. "/" .. name
  state.claims = state.claims or {}
  state.claims[key] = state.claims[key] or files_of.new_volume()
  return state.claims[key]
end

-- The files of a volume of a pod; one of its own is kept in `held` as long as the pod is there.
local function volume_files(state, pod, volume, held)
  local claim = table_of(volume.persistentVolumeClaim).claimName
  if claim then
    return claim_files(state, pod, claim)
  elseif held[volume.name] then
    return held[volume.name]
  end
  local files = files_of.new_volume()
  if volume.configMap then
    fill_from(files, data_of(object_of(state, pod, "configmaps", volume.configMap.name, volume.configMap.optional)),
      volume.configMap.items)
  elseif volume.secret then
    fill_from(files, data_of(object_of(state, pod, "secrets", volume.secret.secretName, volume.secret.optional)),
      volume.secret.items)
  elseif volume.projected then
    fill_projected(state, pod, files, volume.projected.sources)
  elseif volume.downwardAPI then
    fill_projected(state, pod, files, { { downwardAPI = volume.downwardAPI } })
  elseif not volume.emptyDir and not volume.hostPath then
    refusal.unsupported(("the volume %q: only emptyDir, configMap, secret, projected, downwardAPI, hostPath and " ..
      "claims"):format(volume.name))
  end
  held[volume.name] = files
  return files
end

local function mount(state, pod, container, files, held)
  for _, one in ipairs(table_of(container.volumeMounts)) do
    local volume = values.find(pod.spec.volumes, function(each) return each.name == one.name end)
    local inside = volume_files(state, pod, volume, held)
    if one.subPath and one.subPath ~= "" then
      local content = inside:get("/" .. one.subPath)
      put(files, one.mountPath, type(content) == "string" and content or true)
    else
      put(files, one.mountPath, true)
      files:mount(one.mountPath, inside)
    end
  end
end

-- --- a container -------------------------------------------------------------------------------------

function runtime.address(pod)
  local hex = require("ctz.hash").sha256(pod.metadata.uid)
  return ("10.244.%d.%d"):format(tonumber(hex:sub(1, 2), 16), tonumber(hex:sub(3, 4), 16) % 254 + 1)
end

local function env_list(env)
  local list = values.list()
  for i, name in ipairs(sorted_keys(env)) do
    list[i] = name .. "=" .. env[name]
  end
  return list
end

-- runtime.start(state, pod, container, held) -> the engine's container, which runs. Raises {waiting=,
-- message=}, {failed=message}, or unsupported.
function runtime.start(state, pod, container, held)
  if container.lifecycle then
    refusal.unsupported "hooks of a container's lifecycle"
  end
  local env = environment(state, pod, container)
  local ports = {}
  for _, port in ipairs(table_of(container.ports)) do
    ports[("%d/%s"):format(port.containerPort, (port.protocol or "TCP"):lower())] = {}
  end
  local opts = { op = "simulate.cluster" }
  opts.json = {
    Image = container.image, Hostname = pod.spec.hostname or pod.metadata.name, Env = env_list(env),
    Entrypoint = expand_all(container.command, env), Cmd = expand_all(container.args, env), ExposedPorts = ports,
    WorkingDir = container.workingDir, Tty = container.tty or false, OpenStdin = container.stdin or false,
    StdinOnce = container.stdinOnce or false, HostConfig = { NetworkMode = "none" },
    Labels = { ["io.kubernetes.pod.uid"] = pod.metadata.uid, ["io.kubernetes.container.name"] = container.name },
  }
  local id = state.runtime:call("POST", "/containers/create", opts).Id
  local made = state.engine:container(id)
  mount(state, pod, container, made.files, held)
  local done, err = pcall(state.runtime.call, state.runtime, "POST", ("/containers/%s/start"):format(id),
    { op = "simulate.cluster" })
  if not done then
    runtime.remove(state, made)
    if type(err) == "table" and err.status then
      error({ failed = err.message }, 0)
    end
    error(err, 0)
  end
  return made
end

function runtime.remove(state, container)
  if not container.removed then
    state.runtime:call("DELETE", "/containers/" .. container.id, {
      op = "simulate.cluster", query = { force = true }, ok = { [404] = true },
    })
  end
end

function runtime.signal(state, container, name)
  if container.state.running then
    state.runtime:call("POST", ("/containers/%s/kill"):format(container.id), {
      op = "simulate.cluster", query = { signal = name }, ok = { [404] = true, [409] = true },
    })
  end
end

return runtime
