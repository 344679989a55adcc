-- docker/containers.lua: the containers of an engine.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local config = require "ctz.docker.config"
local container_of = require "ctz.docker.container"
local object = require "ctz.docker.object"
local table_of = require("ctz.docker.values").table_of

local ipairs, rawset, require, setmetatable, type = ipairs, rawset, require, setmetatable, type

local containers = {}

local FILTERS <const> = "ancestor before exited expose health id is-task isolation label name network publish since"
  .. " status volume"

-- Asks about one container, with a hint when there is none.
local function call(client, method, path, opts)
  opts.shows = "docker.containers.list{all=true}"
  opts.name = opts.target:match "%S+$"
  function opts.names()
    local names = {}
    for i, raw in ipairs(client:call("GET", "/containers/json", { op = opts.op, query = { all = true } })) do
      names[i] = (raw.Names[1] or raw.Id):gsub("^/", "")
    end
    return names
  end
  return object.call(client, method, path, opts)
end

-- Functions that have a file of their own, loaded when first called.
local elsewhere <const> = {
  attach = "ctz.docker.attach",
  copy_in = "ctz.docker.archive",
  copy_out = "ctz.docker.archive",
  exec = "ctz.docker.exec",
  export = "ctz.docker.archive",
  logs = "ctz.docker.logs",
  metrics = "ctz.docker.stats",
  run = "ctz.docker.run",
  stats = "ctz.docker.stats",
  wait_until = "ctz.docker.wait",
}

setmetatable(containers, {
  __index = function(self, name)
    local fn = elsewhere[name] and require(elsewhere[name])[name]
    rawset(self, name, fn)
    return fn
  end,
})

-- --- looking -----------------------------------------------------------------------------------

--- ctz.docker.containers.list(opts?) -> table
--- The running containers, newest first: a list of container objects {id, name, image, status, ports,
--- created, is_running, labels, raw}. status is running, exited, created, paused, restarting, removing
--- or dead; ports a list of {container_port, protocol, host_ip, host_port}; created in seconds since
--- 1970; raw is the engine's own answer.
--- @async
--- @param opts.all? boolean  also those that do not run
--- @param opts.filters? table  {name = value or list}: status, label, name, ancestor, ...
--- @param opts.limit? integer  the last so many, running or not
--- @param opts.size? boolean  raw.SizeRw and raw.SizeRootFs: slow
--- @param opts.timeout? ctz.seconds
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.list)
--- @example assert(err:is "unreachable")
function containers.list(client, opts)
  local op <const> = "docker.containers.list"
  opts = check(op, opts, { all = "boolean", filters = "table", limit = "count", size = "boolean", timeout = "seconds" })
  local raw = client:call("GET", "/containers/json", {
    op = op,
    timeout = opts.timeout,
    query = {
      all = opts.all,
      limit = opts.limit,
      size = opts.size,
      filters = object.filters(op, opts.filters, FILTERS),
    },
  })
  local list = {}
  for i, one in ipairs(raw) do
    list[i] = container_of.list(client, one)
  end
  return list
end

--- ctz.docker.containers.inspect(container, opts?) -> table
--- All that the engine says of a container, as it says it.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.size? boolean  SizeRw and SizeRootFs: slow
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.inspect, "web")
--- @example assert(err:is "unreachable")
function containers.inspect(client, container, opts)
  local op <const> = "docker.containers.inspect"
  opts = check(op, opts, { size = "boolean", timeout = "seconds" })
  local path, target = object.container(op, container)
  return (call(client, "GET", path .. "/json", {
    op = op,
    target = target,
    timeout = opts.timeout,
    query = { size = opts.size },
  }))
end

--- ctz.docker.containers.get(container) -> ctz.docker.container
--- The object of a container: its fields are those of ctz.docker.containers.list, raw is the answer
--- of inspect; its methods are the functions of ctz.docker.containers.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.get, "web")
--- @example assert(err:is "unreachable")
function containers.get(client, container)
  local op <const> = "docker.containers.get"
  local path, target = object.container(op, container)
  return container_of.inspect(client, (call(client, "GET", path .. "/json", { op = op, target = target })))
end

--- ctz.docker.containers.find(container) -> ctz.docker.container|nil
--- The object of a container, nil when there is none.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.find, "web")
--- @example assert(err:is "unreachable")
function containers.find(client, container)
  local op <const> = "docker.containers.find"
  local path, target = object.container(op, container)
  local raw, status = call(client, "GET", path .. "/json", { op = op, target = target, ok = { [404] = true } })
  return status ~= 404 and container_of.inspect(client, raw) or nil
end

--- ctz.docker.containers.top(container, opts?) -> table
--- The processes of a container: a list of {PID=, CMD=, ...}, all texts, named as ps names them.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.ps? string  options of ps; default "-ef"
--- @error not_found there is no such container
--- @error conflict it does not run
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.top, "web")
--- @example assert(err:is "unreachable")
function containers.top(client, container, opts)
  local op <const> = "docker.containers.top"
  opts = check(op, opts, { ps = "string" })
  local path, target = object.container(op, container)
  local raw = call(client, "GET", path .. "/top", { op = op, target = target, query = { ps_args = opts.ps } })
  local list = {}
  for i, process in ipairs(table_of(raw.Processes)) do
    list[i] = {}
    for j, title in ipairs(raw.Titles) do
      list[i][title] = process[j]
    end
  end
  return list
end

local CHANGES <const> = { [0] = "changed", [1] = "added", [2] = "deleted" }

--- ctz.docker.containers.diff(container) -> table
--- What differs from the image: a list of {path=, kind="changed"|"added"|"deleted"}.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.diff, "web")
--- @example assert(err:is "unreachable")
function containers.diff(client, container)
  local op <const> = "docker.containers.diff"
  local path, target = object.container(op, container)
  local list = {}
  for i, change in ipairs(table_of((call(client, "GET", path .. "/changes", { op = op, target = target })))) do
    list[i] = { path = change.Path, kind = CHANGES[change.Kind] }
  end
  return list
end

-- --- life --------------------------------------------------------------------------------------

-- POST without a body. True when something changed, false when it was so already (304).
local function post(client, container, verb, opts, query)
  local op <const> = "docker.containers." .. verb
  local path, target = object.container(op, container)
  if client:plans("%s %s", verb, target) then
    return true
  end
  local _, status = call(client, "POST", path .. "/" .. verb, {
    op = op,
    target = target,
    query = query,
    timeout = opts.timeout,
    ok = { [304] = true },
  })
  return status ~= 304
end

--- ctz.docker.containers.create(config) -> ctz.docker.container
--- Makes a container and does not start it.
--- @async
--- @param config table|ctz.docker.config  as of ctz.docker.config
--- @return ctz.docker.container
--- @error usage the configuration is wrong: all problems at once
--- @error not_found there is no such image here, and it is not pulled
--- @error conflict the name is taken
--- @example local _, err = ctz.try(ctz.docker.containers.create, {image="busybox", memory="1g"})
--- @example assert(err.kind == "usage" and err.message:find "memory")
function containers.create(client, settings)
  local op <const> = "docker.containers.create"
  return require("ctz.docker.create").create(client, op, config.new(settings, op), "never")
end

--- ctz.docker.containers.start(container, opts?) -> boolean
--- Starts a container; false when it ran already.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such container, or no such program in it
--- @error conflict a port is taken
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.start, "web")
--- @example assert(err:is "unreachable")
function containers.start(client, container, opts)
  return post(client, container, "start", check("docker.containers.start", opts, { timeout = "seconds" }))
end

--- ctz.docker.containers.stop(container, opts?) -> boolean
--- Asks a container to end and kills it when it does not; false when it did not run.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.grace? ctz.seconds  until it is killed; default 10, or what the container was made with
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.stop, "web")
--- @example assert(err:is "unreachable")
function containers.stop(client, container, opts)
  opts = check("docker.containers.stop", opts, { grace = "count", timeout = "seconds" })
  return post(client, container, "stop", opts, { t = opts.grace })
end

--- ctz.docker.containers.restart(container, opts?) -> boolean
--- Stops a container, when it runs, and starts it.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.grace? ctz.seconds  until it is killed; default 10
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.restart, "web")
--- @example assert(err:is "unreachable")
function containers.restart(client, container, opts)
  opts = check("docker.containers.restart", opts, { grace = "count", timeout = "seconds" })
  return post(client, container, "restart", opts, { t = opts.grace })
end

--- ctz.docker.containers.kill(container, opts?) -> boolean
--- Sends a signal.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.signal? string  default "SIGKILL"
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such container
--- @error conflict it does not run
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.kill, "web")
--- @example assert(err:is "unreachable")
function containers.kill(client, container, opts)
  opts = check("docker.containers.kill", opts, { signal = "string", timeout = "seconds" })
  return post(client, container, "kill", opts, { signal = opts.signal })
end

--- ctz.docker.containers.pause(container, opts?) -> boolean
--- Freezes all processes of a container.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.timeout? ctz.seconds
--- @error conflict it does not run, or is paused already
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.pause, "web")
--- @example assert(err:is "unreachable")
function containers.pause(client, container, opts)
  return post(client, container, "pause", check("docker.containers.pause", opts, { timeout = "seconds" }))
end

--- ctz.docker.containers.unpause(container, opts?) -> boolean
--- Lets a paused container go on.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.timeout? ctz.seconds
--- @error conflict it is not paused
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.unpause, "web")
--- @example assert(err:is "unreachable")
function containers.unpause(client, container, opts)
  return post(client, container, "unpause", check("docker.containers.unpause", opts, { timeout = "seconds" }))
end

--- ctz.docker.containers.rename(container, name) -> true
--- Gives a container another name.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param name string
--- @error conflict the name is taken
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.rename, "web", "old")
--- @example assert(err:is "unreachable")
function containers.rename(client, container, name)
  local op <const> = "docker.containers.rename"
  local path, target = object.container(op, container)
  object.check_name(op, "name", name)
  if not client:plans("rename %s to %s", target, name) then
    call(client, "POST", path .. "/rename", { op = op, target = target, query = { name = name } })
  end
  if type(container) == "table" then
    container.name = name
  end
  return true
end

--- ctz.docker.containers.update(container, opts) -> table
--- Changes limits and the restart policy of a container that may be running. Returns the engine's
--- warnings.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.resources? table  as of ctz.docker.config
--- @param opts.restart_policy? string|table  as of ctz.docker.config
--- @return string[]
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.containers.update, "web", {resources={memory="1g"}})
--- @example assert(err.kind == "usage")
function containers.update(client, container, opts)
  local op <const> = "docker.containers.update"
  opts = check(op, opts, { resources = "table", restart_policy = "string|table" })
  local path, target = object.container(op, container)
  local body = config.update(op, opts.resources, opts.restart_policy)
  if client:plans("update %s", target) then
    return {}
  end
  return table_of(call(client, "POST", path .. "/update", { op = op, target = target, json = body }).Warnings)
end

--- ctz.docker.containers.remove(container, opts?) -> boolean
--- Removes a container.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.force? boolean  kill it first when it runs
--- @param opts.volumes? boolean  also its volumes without a name
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such container
--- @error conflict it runs, or is being removed
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.remove, "web")
--- @example assert(err:is "unreachable")
function containers.remove(client, container, opts)
  local op <const> = "docker.containers.remove"
  opts = check(op, opts, { force = "boolean", volumes = "boolean", timeout = "seconds" })
  local path, target = object.container(op, container)
  if client:plans("remove %s", target) then
    return true
  end
  call(client, "DELETE", path, {
    op = op,
    target = target,
    timeout = opts.timeout,
    query = { force = opts.force, v = opts.volumes },
  })
  return true
end

--- ctz.docker.containers.wait(container, opts?) -> integer
--- Waits until a container has ended and returns its exit code.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.condition? string  "not-running" (default), "next-exit" or "removed"
--- @param opts.timeout? ctz.seconds
--- @return integer
--- @error timeout it has not ended by then
--- @error unreachable the engine stopped meanwhile
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.wait, "web")
--- @example assert(err:is "unreachable")
function containers.wait(client, container, opts)
  local op <const> = "docker.containers.wait"
  opts = check(op, opts, { condition = "string", timeout = "seconds" })
  local path, target = object.container(op, container)
  return require("ctz.docker.create").read_exit(
    op,
    target,
    call(client, "POST", path .. "/wait", {
      op = op,
      target = target,
      query = { condition = opts.condition },
      timeout = opts.timeout,
      reads = true,
    })
  )
end

--- ctz.docker.containers.commit(container, opts?) -> string
--- Makes an image of what a container has become and returns its id.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.image? string  its name and tag
--- @param opts.message? string
--- @param opts.author? string
--- @param opts.changes? string[]  Dockerfile instructions: 'CMD ["sh"]'
--- @param opts.pause? boolean  while it is read; default true
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.commit, "web")
--- @example assert(err:is "unreachable")
function containers.commit(client, container, opts)
  local op <const> = "docker.containers.commit"
  opts = check(op, opts, {
    image = "string",
    message = "string",
    author = "string",
    changes = "list",
    pause = "boolean",
  })
  local id, target = object.subject(op, "container", container)
  local reference = opts.image and require("ctz.registry.reference").parse(opts.image)
  if client:plans("commit %s%s", target, opts.image and " as " .. opts.image or "") then
    return nil
  end
  return call(client, "POST", "/commit", {
    op = op,
    target = target,
    query = {
      container = id,
      repo = reference and opts.image:gsub(":[^/:]*$", "") or nil,
      tag = reference and reference.tag,
      comment = opts.message,
      author = opts.author,
      changes = opts.changes and { each = opts.changes },
      pause = opts.pause ~= false,
    },
  }).Id
end

--- ctz.docker.containers.prune(opts?) -> table
--- Removes all containers that do not run: {removed = {ids}, bytes_freed =}.
--- @async
--- @param opts.filters? table  {name = value or list}: label, until
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.prune)
--- @example assert(err:is "unreachable")
function containers.prune(client, opts)
  local op <const> = "docker.containers.prune"
  opts = check(op, opts, { filters = "table" })
  if client:plans "remove all containers that do not run" then
    return { removed = {}, bytes_freed = 0 }
  end
  local raw = client:call("POST", "/containers/prune", {
    op = op,
    query = { filters = object.filters(op, opts.filters, "label until") },
  })
  return { removed = table_of(raw.ContainersDeleted), bytes_freed = raw.SpaceReclaimed }
end

return containers
