---@meta ctz.simulate
-- Generated from the doc comments; do not edit.

---Docker engines and Kubernetes clusters in memory, for tests of recipes without them.
---@class ctz.simulate
local simulate = {}

---@class ctz.simulate.cluster.opts
---@field images? table  as of simulate.engine: what is on the nodes
---@field registry? table  what can be pulled; default: everything but names that end in .invalid
---@field programs? table<string, function>  in every image
---@field nodes? integer  default 1

---A Kubernetes cluster in memory. cluster.kubernetes is a client of it, as ctz.kubernetes.connect gives one: objects of all kinds, apply with owners of fields, conflicts, watches; Deployments and Jobs get their pods, whose containers run as those of simulate.engine do, with logs and exec. What it does not model raises kind unsupported; docs/kubernetes.md has the list.
---@param opts? ctz.simulate.cluster.opts
---@return ctz.simulate.cluster
function simulate.cluster(opts) end

---@class ctz.simulate.engine.opts
---@field images? table  what is there: {"app:1", ["web:2"]={command={"serve"}, ports={80}}}
---@field programs? table<string, function>  in every image
---@field registry? table  what can be pulled, as images; default: everything
---@field api? string  version of the API, default "1.41"

---An engine in memory. engine.docker has all that ctz.docker has: containers that run, wait, fail and write logs, exec, copies, networks, volumes, images to list, tag, pull, commit and remove, events. What it does not model (builds, stats, pushes) raises kind unsupported. Its programs: sh with the small ones of busybox, and those of the test, each a function(argv, io) that returns an exit code. argv[0] is its name; io has write(text), stderr(text), read(n?), line(), sleep(s), trap(signal, fn), listen(port, fn?), exit(code), and the fields env, cwd, user, files, container. An image is a name, or a name with a table: command, entrypoint, environment, labels, ports, user, workdir, healthcheck ({command=, interval=, timeout=, retries=, start_period=}), files ({path = text}), programs: then it has those and the small ones alone; else what it has is not known. Without a command it works as a service until it is stopped.
---@param opts? ctz.simulate.engine.opts
---@return ctz.simulate.engine
function simulate.engine(opts) end

---@class ctz.simulate.cluster
local cluster = {}

---What was asked of it, in order: {op=, method=, path=, query=, body=, status=}; op is the public name ("kubernetes.apply").
---@param pattern? string  only what is so called: a pattern for op
---@return table[]
function cluster:calls(pattern) end

---Ends cluster:use().
---@return true
function cluster:close() end

---The server keeps nothing of what happened before now: watches and lists that were begun are told 410 and begin again, as after five minutes in a real cluster.
---@return true
function cluster:forget() end

---Time passes, at once: for containers that sleep, deadlines, pods that are to end.
---@param seconds ctz.seconds
---@return true
function cluster:skip(seconds) end

---From now on every kubernetes.connect is to this cluster: for recipes that connect by themselves. It ends with cluster:close(), or with the block of local cluster <close> = ...:use().
---@return cluster
function cluster:use() end

---@class ctz.simulate.engine
local engine = {}

---What was asked of it, in order: {op=, method=, path=, query=, body=, status=}; op is the public name ("docker.containers.start").
---@param pattern? string  only what is so called: a pattern for op
---@return table[]
function engine:calls(pattern) end

---Ends engine:use().
---@return true
function engine:close() end

---What happened, as the engine tells it: {Type=, Action=, Actor=, time=, ...}.
---@return table[]
function engine:events() end

---What the engine answers to GET of a path of its API, beside ctz.docker: no call is noted.
---@param path string  "/containers/json?all=1"
---@return any
function engine:get(path) end

---As it was at the beginning: between two tests. engine.docker is another one then.
---@return engine
function engine:reset() end

---Time passes for its containers, at once: what sleeps wakes, what is checked every minute is checked.
---@param seconds ctz.seconds
---@return true
function engine:skip(seconds) end

---From now on ctz.docker, and every docker.connect, is this engine: for recipes that connect by themselves. It ends with engine:close(), or with the block of local engine <close> = ...:use().
---@return engine
function engine:use() end

return simulate
