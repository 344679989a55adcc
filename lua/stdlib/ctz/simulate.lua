-- simulate: Docker engines and Kubernetes clusters in memory, for tests of recipes without them.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local new_error = require("ctz.core.task").error
local reference = require "ctz.registry.reference"
local simulate_engine = require "ctz.docker.simulate"
local stand_in = require "ctz.docker.simulate.stand_in"

local error, ipairs, pairs, pcall, rawget, require = error, ipairs, pairs, pcall, rawget, require
local setmetatable, tostring, type = setmetatable, tostring, type

local simulate = {}

local function usage(text, ...)
  error(new_error { kind = "usage", op = "simulate", message = text:format(...) }, 0)
end

local OPTIONS <const> = { api = "string", images = "table", programs = "table", registry = "table" }

local IMAGE <const> = {
  command = "string|list",
  comment = "string",
  entrypoint = "string|list",
  env = "list",
  environment = "table",
  files = "table",
  healthcheck = "table",
  is_known = "boolean",
  labels = "table",
  ports = "list",
  programs = "table",
  user = "string",
  workdir = "string",
}

local HEALTH <const> = {
  command = "string|list!",
  interval = "seconds",
  retries = "count",
  start_period = "seconds",
  timeout = "seconds",
}

local function check_programs(what, programs)
  for name, program in pairs(programs or {}) do
    if type(name) ~= "string" or type(program) ~= "function" then
      usage("%s: the program %s is a function(argv, io), got %s", what, tostring(name), type(program))
    end
  end
end

-- {"name", ["name"] = {command = ...}}
local function check_images(what, images)
  for name, image in pairs(images or {}) do
    local is_listed = type(name) == "number"
    local shown = is_listed and image or name
    if type(shown) ~= "string" or not pcall(reference.parse, shown) then
      usage("%s: %s is no name of an image", what, tostring(shown))
    elseif not is_listed then
      local about = ("simulate.engine (%s %s)"):format(what, name)
      check(about, image, IMAGE)
      check_programs(name, image.programs)
      if image.healthcheck then
        check(about .. " (healthcheck)", image.healthcheck, HEALTH)
      end
    end
  end
end

local Engine = { __name = "ctz.simulate.engine" }

local METHODS <const> = {}

-- Connects while this engine is the one that is meant.
local function connect(self)
  local before = stand_in.current()
  stand_in.put(self.state)
  local docker = require("ctz.docker").connect()
  stand_in.put(before)
  return docker
end

Engine.__index = function(self, name)
  if name == "docker" then
    self.docker = connect(self)
    return rawget(self, "docker")
  end
  return METHODS[name]
end

--- ctz.simulate.engine(opts?) -> ctz.simulate.engine
--- An engine in memory. engine.docker has all that ctz.docker has: containers that run, wait, fail and
--- write logs, exec, copies, networks, volumes, images to list, tag, pull, commit and remove, events.
--- What it does not model (builds, stats, pushes) raises kind unsupported. Its programs: sh with the
--- small ones of busybox, and those of the test, each a function(argv, io) that returns an exit code.
--- argv[0] is its name; io has write(text), stderr(text), read(n?), line(), sleep(s), trap(signal, fn),
--- listen(port, fn?), exit(code), and the fields env, cwd, user, files, container. An image is a name,
--- or a name with a table: command, entrypoint, environment, labels, ports, user, workdir, healthcheck
--- ({command=, interval=, timeout=, retries=, start_period=}), files ({path = text}), programs: then it
--- has those and the small ones alone; else what it has is not known. Without a command it works as a
--- service until it is stopped.
--- @param opts.images? table  what is there: {"app:1", ["web:2"]={command={"serve"}, ports={80}}}
--- @param opts.programs? table<string, function>  in every image
--- @param opts.registry? table  what can be pulled, as images; default: everything
--- @param opts.api? string  version of the API, default "1.41"
--- @error usage an option is wrong
--- @return ctz.simulate.engine
--- @example local engine = require("ctz.simulate").engine{programs={migrate=function(argv, io)
--- @example   io.write("to ", argv[1], "\n") return 0 end}}
--- @example local result = engine.docker.run{image="app:1", command={"migrate", "v2"}}
--- @example assert(result.stdout == "to v2\n" and result.simulated)
function simulate.engine(opts)
  opts = check("simulate.engine", opts, OPTIONS)
  check_images("images", opts.images)
  check_images("registry", opts.registry)
  check_programs("programs", opts.programs)
  if opts.api and not opts.api:find "^1%.%d+$" then
    usage("bad argument 'opts.api' to 'simulate.engine': expected a version such as \"1.41\", got %q", opts.api)
  end
  return setmetatable({ settings = opts, state = simulate_engine.new_engine(opts) }, Engine)
end

--- engine:use() -> engine
--- From now on ctz.docker, and every docker.connect, is this engine: for recipes that connect by
--- themselves. It ends with engine:close(), or with the block of local engine <close> = ...:use().
--- @example local engine <close> = require("ctz.simulate").engine():use()
--- @example ctz.docker.networks.create "front" assert(engine:calls()[1].path == "/networks/create")
function METHODS:use()
  stand_in.put(self.state)
  return self
end

--- engine:close() -> true
--- Ends engine:use().
--- @example assert(require("ctz.simulate").engine():close())
function METHODS:close()
  if stand_in.current() == self.state then
    stand_in.put(nil)
  end
  return true
end

Engine.__close = METHODS.close

--- engine:reset() -> engine
--- As it was at the beginning: between two tests. engine.docker is another one then.
--- @example local engine = require("ctz.simulate").engine()
--- @example engine.docker.volumes.create "data" engine:reset()
--- @example assert(#engine.docker.volumes.list() == 0 and #engine:calls() == 1)
function METHODS:reset()
  local is_used = stand_in.current() == self.state
  self.state = simulate_engine.new_engine(self.settings)
  self.docker = nil
  return is_used and self:use() or self
end

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for name, one in pairs(value) do
    result[name] = copy(one)
  end
  return result
end

--- engine:calls(pattern?) -> table[]
--- What was asked of it, in order: {op=, method=, path=, query=, body=, status=}; op is the public name
--- ("docker.containers.start").
--- @param pattern? string  only what is so called: a pattern for op
--- @return table[]
--- @example local engine = require("ctz.simulate").engine()
--- @example engine.docker.run{image="app:1", command={"true"}}
--- @example assert(#engine:calls "^docker.run$" > 1)
function METHODS:calls(pattern)
  local list = {}
  for _, call in ipairs(self.state.calls) do
    if not pattern or (call.op or ""):find(pattern) then
      list[#list + 1] = copy(call)
    end
  end
  return list
end

--- engine:events() -> table[]
--- What happened, as the engine tells it: {Type=, Action=, Actor=, time=, ...}.
--- @return table[]
--- @example local engine = require("ctz.simulate").engine()
--- @example engine.docker.volumes.create "data"
--- @example assert(engine:events()[1].Type == "volume" and engine:events()[1].Action == "create")
function METHODS:events()
  self.state.kernel:advance()
  return copy(self.state.events)
end

--- engine:get(path) -> any
--- What the engine answers to GET of a path of its API, beside ctz.docker: no call is noted.
--- @param path string  "/containers/json?all=1"
--- @example assert(#require("ctz.simulate").engine():get "/networks" == 3)
function METHODS:get(path)
  local calls = self.state.calls
  local value = simulate_engine.new_client(self.state):call("GET", path, { op = "simulate.get" })
  calls[#calls] = nil
  return value
end

--- engine:skip(seconds) -> true
--- Time passes for its containers, at once: what sleeps wakes, what is checked every minute is checked.
--- @param seconds ctz.seconds
--- @example local engine = require("ctz.simulate").engine()
--- @example local job = engine.docker.run{image="app:1", command={"sleep", "3600"}, detach=true}
--- @example engine:skip(3601) assert(job:wait() == 0)
function METHODS:skip(seconds)
  self.state.kernel:skip(seconds)
  return true
end

-- --- clusters ----------------------------------------------------------------------------------

local CLUSTER <const> = { images = "table", nodes = "count", programs = "table", registry = "table" }

local Cluster = { __name = "ctz.simulate.cluster" }

local CLUSTER_METHODS <const> = {}

Cluster.__index = function(self, name)
  if name == "kubernetes" then
    self.kubernetes = require("ctz.kubernetes.simulate").new_client(self.state, {})
    return rawget(self, "kubernetes")
  end
  return CLUSTER_METHODS[name]
end

--- ctz.simulate.cluster(opts?) -> ctz.simulate.cluster
--- A Kubernetes cluster in memory. cluster.kubernetes is a client of it, as ctz.kubernetes.connect gives
--- one: objects of all kinds, apply with owners of fields, conflicts, watches; Deployments and Jobs get their
--- pods, whose containers run as those of simulate.engine do, with logs and exec. What it does not model
--- raises kind unsupported; docs/kubernetes.md has the list.
--- @param opts.images? table  as of simulate.engine: what is on the nodes
--- @param opts.registry? table  what can be pulled; default: everything but names that end in .invalid
--- @param opts.programs? table<string, function>  in every image
--- @param opts.nodes? integer  default 1
--- @error usage an option is wrong
--- @return ctz.simulate.cluster
--- @example local cluster = require("ctz.simulate").cluster{registry={"app:1"}}
--- @example local k = cluster.kubernetes
--- @example k:apply(ctz.k8s.deployment{name="web", image="app:1", replicas=2})
--- @example assert(k:rollout("deployment/web"):status().status.availableReplicas == 2)
function simulate.cluster(opts)
  opts = check("simulate.cluster", opts, CLUSTER)
  check_images("images", opts.images)
  check_images("registry", opts.registry)
  check_programs("programs", opts.programs)
  local state = require("ctz.kubernetes.simulate").new_cluster(opts)
  return setmetatable({ settings = opts, state = state }, Cluster)
end

local function cluster_stand_in()
  return require "ctz.kubernetes.simulate.stand_in"
end

--- cluster:use() -> cluster
--- From now on every kubernetes.connect is to this cluster: for recipes that connect by themselves. It ends
--- with cluster:close(), or with the block of local cluster <close> = ...:use().
--- @example local cluster <close> = require("ctz.simulate").cluster():use()
--- @example assert(ctz.k8s.connect():get("namespace/default").status.phase == "Active")
function CLUSTER_METHODS:use()
  cluster_stand_in().put(self.state)
  return self
end

--- cluster:close() -> true
--- Ends cluster:use().
--- @example assert(require("ctz.simulate").cluster():close())
function CLUSTER_METHODS:close()
  if cluster_stand_in().current() == self.state then
    cluster_stand_in().put(nil)
  end
  return true
end

Cluster.__close = CLUSTER_METHODS.close

--- cluster:calls(pattern?) -> table[]
--- What was asked of it, in order: {op=, method=, path=, query=, body=, status=}; op is the public name
--- ("kubernetes.apply").
--- @param pattern? string  only what is so called: a pattern for op
--- @return table[]
--- @example local cluster = require("ctz.simulate").cluster()
--- @example cluster.kubernetes:get "namespace/default"
--- @example local calls = cluster:calls "get$" -- what kinds there are is asked for first
--- @example assert(calls[#calls].path == "/api/v1/namespaces/default")
CLUSTER_METHODS.calls = METHODS.calls

--- cluster:skip(seconds) -> true
--- Time passes, at once: for containers that sleep, deadlines, pods that are to end.
--- @param seconds ctz.seconds
--- @example assert(require("ctz.simulate").cluster():skip(3600))
function CLUSTER_METHODS:skip(seconds)
  self.state.kernel:skip(seconds)
  return true
end

--- cluster:forget() -> true
--- The server keeps nothing of what happened before now: watches and lists that were begun are told 410 and
--- begin again, as after five minutes in a real cluster.
--- @example assert(require("ctz.simulate").cluster():forget())
function CLUSTER_METHODS:forget()
  self.state:forget()
  self.state.kernel:changed()
  return true
end

return simulate
