---@meta ctz.docker
-- Generated from the doc comments; do not edit.

---a Docker Engine from a recipe. The module itself acts on the default engine.
---@class ctz.docker
local docker = {}

---@class ctz.docker.build.opts
---@field context? string  the folder; without it the Dockerfile is all there is
---@field dockerfile? string  path, below the context or from here; or its text, of several lines
---@field tags? string|string[]
---@field args? table  {NAME = value} for ARG; seen by everybody who has the image
---@field secrets? table  {id = {env=NAME} or {file=PATH} or {value=text}} for RUN --mount=type=secret,id=
---@field target? string  the stage to build
---@field labels? table  {name = value}
---@field cache_from? string|string[]  images whose layers may be used
---@field no_cache? boolean  runs every step
---@field pull? boolean  looks for newer base images
---@field platform? string  "os/arch/variant"
---@field network? string  of RUN: "host", "none", a network's name
---@field extra_hosts? string[]  "name:address"
---@field builder? "classic"|"buildkit"  default as above
---@field on_progress? fun(event: table)
---@field timeout? ctz.seconds

---Builds an image and returns {image_name, image_id, tags, build_time, size_bytes, size_mb, layers, warnings, raw}: image_name is the first tag, build_time is in seconds, size_mb in 1,000,000 bytes, layers the digests of the image's layers, raw what the engine says of it. The folder is sent as it is read, without what DOCKERFILE.dockerignore or else .dockerignore leaves out. The builder is BuildKit on engines that prefer it (API 1.42 and newer), and on older ones when the Dockerfile or a secret needs it; DOCKER_BUILDKIT=0 or 1 chooses as for the docker command. Events of on_progress are {type="context", bytes=, files=, done=}, {type="step", name=, number?=, total?=, stage?=, state=, seconds?=} with the states started, done, cached and failed, {type="output", step=, stream=, text=} and {type="pull", id=, status=, current?=, total?=}; without it a line of progress is shown.
---@async
---@param opts ctz.docker.build.opts
---@return {image_name: string?, image_id: string, build_time: number, size_mb: number, layers: string[], raw: table}
function docker.build(opts) end

---Builds an image as ctz.docker.build does and returns its record: {image_name, image_id, build_time (seconds), size_mb (of 1,000,000 bytes), layers, warnings}. What a scan or an optimization would say (security_scan_passed, vulnerabilities_found, optimization_applied) is nil: neither was done.
---@async
---@param opts table  of ctz.docker.build
---@return table
function docker.build_containers(opts) end

---@class ctz.docker.config.config
---@field image string  "alpine:3.20", or the id of an image
---@field name? string
---@field command? string[]  the words; a single word may be a string
---@field entrypoint? string[]  {} or "": none, also not that of the image
---@field environment? table  {NAME = text|number|secret|false (takes it away)} or {"NAME=value", "NAME"}
---@field ports? table  {"8080:80", "127.0.0.1:53:53/udp", {target=80, published=8080, host_ip=, protocol=}}
---@field expose? table  {80, "53/udp", "3000-3010"}
---@field publish_all? boolean
---@field volumes? table  {"name:/path:ro", "./folder:/path"}; {type=, source=, target=, read_only=, selinux=, consistency=, bind={propagation=, create_host_path=, recursive=}, volume={nocopy=, subpath=, labels=, driver=, driver_opts=}}; or {["./folder"] = "/path:ro"}
---@field mounts? table  {"type=bind,source=/a,target=/b,readonly"} or tables as in volumes, also of type tmpfs with tmpfs={size=, mode=} and image with image={subpath=}; what is missing on the host is an error
---@field tmpfs? table  {"/run", "/tmp:size=64m"} or {["/tmp"] = {size="64m", mode="1777"}}
---@field networks? table  {"front", "back"} or {front = {aliases=, address=, address6=, mac_address=, link_local=, links=, driver_opts=, priority=}}
---@field network_mode? string  "bridge", "host", "none", "container:NAME"
---@field mac_address? string
---@field links? string[]
---@field resources? table  {cpu_limit=, memory_limit=, cpu_reservation=, memory_reservation=, memory_swap=, memory_swappiness=, cpu_shares=, cpu_period=, cpu_quota=, cpuset_cpus=, cpuset_mems=, pids_limit=, oom_kill_disable=, blkio_weight=, device_read_bps=, ...}; a reservation of 1 CPU is 1024 shares
---@field restart_policy? string|table  "always", "on-failure:3" or {name=, max_retries=}
---@field labels? table  {name = value} or {"name=value"}
---@field healthcheck? table|false  {command= line for a shell or words, interval=, timeout=, start_period=, start_interval=, retries=}; false switches the image's off
---@field user? string
---@field workdir? string
---@field hostname? string
---@field ulimits? table  {nofile = "1024:2048"} or {nofile = {soft=, hard=}}
---@field caps? table  {add = {"NET_ADMIN"}, drop = {"ALL"}}
---@field devices? table  {"/dev/fuse", "/dev/a:/dev/b:rw", {source=, target=, permissions=}}
---@field gpus? string|integer|table  "all", 2 or {count=, device_ids=, driver=, capabilities=, options=}
---@field init? boolean
---@field read_only? boolean
---@field privileged? boolean
---@field platform? string  "linux/arm64"
---@field pull? string  "missing" (default), "always", "never"
---@field remove? boolean  the engine removes the container when it ends
---@field detach? boolean
---@field tty? boolean
---@field stdin? boolean|string|ctz.secret|table  true, or what the process reads
---@field extra_hosts? table  {db = "10.0.0.5"} or {"db:10.0.0.5"}
---@field dns? string[]  also dns_search, dns_options
---@field shm_size? string|integer
---@field log_driver? string
---@field log_options? table
---@field stop_signal? string
---@field stop_timeout? integer  seconds
---@field security_opt? string[]  also sysctls, group_add, pid, ipc, uts, userns, cgroupns, cgroup_parent, runtime, storage_opt, volumes_from, volume_driver, device_cgroup_rules, oom_score_adj, annotations, domainname

---A description of a container, checked: all problems are told at once, each with the place of it. Short forms as docker run takes them and long tables may be mixed; the result has the long ones. docker.run and docker.containers.create take the same table. Secrets (ctz.secret) are taken in environment and are never part of an argument.
---@param config ctz.docker.config.config
---@return ctz.docker.ContainerConfig
function docker.config(config) end

---@class ctz.docker.connect.opts
---@field host? string  "unix:///PATH", "tcp://HOST:PORT", "ssh://[USER@]HOST"
---@field context? string  name of a context
---@field tls? table  {ca=, cert=, key=} files or PEM texts, insecure=; default as the environment says

---An engine to work with: the result has all that ctz.docker has. Without options it is the engine that the docker command would use: DOCKER_HOST, else DOCKER_CONTEXT, else the current context of config.json, else the local socket. Nothing is sent yet. Under --simulate it is an engine in memory, one for each address.
---@param opts? ctz.docker.connect.opts
---@return ctz.docker
function docker.connect(opts) end

docker.containers = {}

---@class ctz.docker.containers.attach.opts
---@field stdin? boolean  connect the standard input too; default false
---@field stdout? boolean  default true
---@field stderr? boolean  default true
---@field logs? boolean  what was written before comes first
---@field timeout? ctz.seconds  until it is connected

---Connects to the streams of a container's first process: lines(), parts(), write(bytes), close_stdin(), resize(rows, columns), close(). Only what comes from now on, unless logs=true.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.attach.opts
---@return attached
function docker.containers.attach(container, opts) end

---@class ctz.docker.containers.commit.opts
---@field image? string  its name and tag
---@field message? string
---@field author? string
---@field changes? string[]  Dockerfile instructions: 'CMD ["sh"]'
---@field pause? boolean  while it is read; default true

---Makes an image of what a container has become and returns its id.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.commit.opts
---@return string
function docker.containers.commit(container, opts) end

---@class ctz.docker.containers.copy_in.opts
---@field keep_owner? boolean  user and group as here or in the stream; default root

---Copies a file or a folder of this machine into a container, which need not run, as `docker cp` does: into `path` when that is a folder, else as `path`; "DIR/." means what is in DIR. A function as source gives the pieces of a tar stream that is unpacked in the folder `path`.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param source string|fun(): string?  a path here, or pieces of a tar stream until nil
---@param path string  in the container, from its root
---@param opts? ctz.docker.containers.copy_in.opts
---@return true
function docker.containers.copy_in(container, source, path, opts) end

---@class ctz.docker.containers.copy_out.opts
---@field keep_owner? boolean  user and group as in the container; default who runs this

---Copies a file or a folder out of a container, which need not run, as `docker cp` does: into `target` when that is a folder, else as `target`; "DIR/." means what is in DIR. Nothing is written outside of it, whatever the container holds. Without target it returns the tar stream: read(), chunks(), close(); its entries begin with the last name of the path.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param path string  in the container, from its root
---@param target? string  a path here
---@param opts? ctz.docker.containers.copy_out.opts
---@return {path: string}
function docker.containers.copy_out(container, path, target, opts) end

---Makes a container and does not start it.
---@async
---@param config table|ctz.docker.config  as of ctz.docker.config
---@return ctz.docker.container
function docker.containers.create(config) end

---What differs from the image: a list of {path=, kind="changed"|"added"|"deleted"}.
---@async
---@param container string|ctz.docker.container  name, id or object
---@return table
function docker.containers.diff(container) end

---@class ctz.docker.containers.exec.opts
---@field command string[]  program and arguments; no shell
---@field user? string
---@field workdir? string
---@field env? table  {NAME = value}; a ctz.secret stays one in our output
---@field tty? boolean  with a terminal: both streams are one
---@field privileged? boolean
---@field stdin? string|function|true  what it reads; a function gives pieces; true: with stream
---@field stdout? fun(line: string)  is called with each line instead
---@field stderr? fun(line: string)
---@field stream? boolean
---@field check? boolean  false: any exit code is a result
---@field timeout? ctz.seconds  until it has started

---Runs a program in a running container and returns {exit_code, stdout, stderr}. A code other than 0 raises. With stream=true it returns at once an object to talk to: lines(), parts(), write(bytes), close_stdin(), resize(rows, columns), wait() -> exit code, close(). The engine has no way to end such a program: after close() or a cancel it goes on in the container.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts ctz.docker.containers.exec.opts
---@return {exit_code: integer, stdout: string, stderr: string}
function docker.containers.exec(container, opts) end

---@class ctz.docker.containers.export.opts
---@field to? string  path of the tar file

---All files of a container as a tar stream: read(), chunks(), close(). With `to` it is saved as this file, which appears when it is complete, and {path=} is returned.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.export.opts
---@return table|stream
function docker.containers.export(container, opts) end

---The object of a container, nil when there is none.
---@async
---@param container string|ctz.docker.container  name, id or object
---@return ctz.docker.container|nil
function docker.containers.find(container) end

---The object of a container: its fields are those of ctz.docker.containers.list, raw is the answer of inspect; its methods are the functions of ctz.docker.containers.
---@async
---@param container string|ctz.docker.container  name, id or object
---@return ctz.docker.container
function docker.containers.get(container) end

---@class ctz.docker.containers.inspect.opts
---@field size? boolean  SizeRw and SizeRootFs: slow
---@field timeout? ctz.seconds

---All that the engine says of a container, as it says it.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.inspect.opts
---@return table
function docker.containers.inspect(container, opts) end

---@class ctz.docker.containers.kill.opts
---@field signal? string  default "SIGKILL"
---@field timeout? ctz.seconds

---Sends a signal.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.kill.opts
---@return boolean
function docker.containers.kill(container, opts) end

---@class ctz.docker.containers.list.opts
---@field all? boolean  also those that do not run
---@field filters? table  {name = value or list}: status, label, name, ancestor, ...
---@field limit? integer  the last so many, running or not
---@field size? boolean  raw.SizeRw and raw.SizeRootFs: slow
---@field timeout? ctz.seconds

---The running containers, newest first: a list of container objects {id, name, image, status, ports, created, is_running, labels, raw}. status is running, exited, created, paused, restarting, removing or dead; ports a list of {container_port, protocol, host_ip, host_port}; created in seconds since 1970; raw is the engine's own answer.
---@async
---@param opts? ctz.docker.containers.list.opts
---@return table
function docker.containers.list(opts) end

---@class ctz.docker.containers.logs.opts
---@field follow? boolean  go on until the container ends
---@field tail? integer  only so many last lines, counted over both streams
---@field since? string|number  a time, or how long ago ("10m")
---@field until? string|number  a time, or how long ago
---@field timestamps? boolean
---@field stdout? boolean  default true
---@field stderr? boolean  default true
---@field timeout? ctz.seconds  until the log begins

---for line in ctz.docker.containers.logs("web", {follow=true}) do print(line.text) end: each line as {stream="stdout"|"stderr", text=, time=}; time, in seconds since 1970, only with timestamps=true. A line over the limit log_line_bytes comes in parts with partial=true. The order is kept within each stream. break closes the connection; the engine waits while nobody takes lines.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.logs.opts
---@return fun(): any
function docker.containers.logs(container, opts) end

---@class ctz.docker.containers.metrics.opts
---@field timeout? ctz.seconds

---What a container uses now: ContainerMetrics {container_name, timestamp, cpu_usage_percent (100 is one CPU), memory_usage_mb (without cache), memory_limit_mb, network_rx_mb, network_tx_mb, disk_read_mb, disk_write_mb, uptime_seconds, restart_count, health_status ("healthy", "unhealthy", "unknown"), pids, raw}. Beside each _mb (1,000,000 bytes) stands _bytes. What the engine does not know is nil. It takes the engine a second to measure the CPU.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.metrics.opts
---@return table
function docker.containers.metrics(container, opts) end

---@class ctz.docker.containers.pause.opts
---@field timeout? ctz.seconds

---Freezes all processes of a container.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.pause.opts
---@return boolean
function docker.containers.pause(container, opts) end

---@class ctz.docker.containers.prune.opts
---@field filters? table  {name = value or list}: label, until

---Removes all containers that do not run: {removed = {ids}, bytes_freed =}.
---@async
---@param opts? ctz.docker.containers.prune.opts
---@return table
function docker.containers.prune(opts) end

---@class ctz.docker.containers.remove.opts
---@field force? boolean  kill it first when it runs
---@field volumes? boolean  also its volumes without a name
---@field timeout? ctz.seconds

---Removes a container.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.remove.opts
---@return boolean
function docker.containers.remove(container, opts) end

---Gives a container another name.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param name string
---@return true
function docker.containers.rename(container, name) end

---@class ctz.docker.containers.restart.opts
---@field grace? ctz.seconds  until it is killed; default 10
---@field timeout? ctz.seconds

---Stops a container, when it runs, and starts it.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.restart.opts
---@return boolean
function docker.containers.restart(container, opts) end

---@class ctz.docker.containers.start.opts
---@field timeout? ctz.seconds

---Starts a container; false when it ran already.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.start.opts
---@return boolean
function docker.containers.start(container, opts) end

---@class ctz.docker.containers.stats.opts
---@field timeout? ctz.seconds  until the first sample comes

---for m in ctz.docker.containers.stats("web") do ... end: the same as ctz.docker.containers.metrics, every second, until the container ends. break closes the connection.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.stats.opts
---@return fun(): any
function docker.containers.stats(container, opts) end

---@class ctz.docker.containers.stop.opts
---@field grace? ctz.seconds  until it is killed; default 10, or what the container was made with
---@field timeout? ctz.seconds

---Asks a container to end and kills it when it does not; false when it did not run.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.stop.opts
---@return boolean
function docker.containers.stop(container, opts) end

---@class ctz.docker.containers.top.opts
---@field ps? string  options of ps; default "-ef"

---The processes of a container: a list of {PID=, CMD=, ...}, all texts, named as ps names them.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.top.opts
---@return table
function docker.containers.top(container, opts) end

---@class ctz.docker.containers.unpause.opts
---@field timeout? ctz.seconds

---Lets a paused container go on.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.unpause.opts
---@return boolean
function docker.containers.unpause(container, opts) end

---@class ctz.docker.containers.update.opts
---@field resources? table  as of ctz.docker.config
---@field restart_policy? string|table  as of ctz.docker.config

---Changes limits and the restart policy of a container that may be running. Returns the engine's warnings.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts ctz.docker.containers.update.opts
---@return string[]
function docker.containers.update(container, opts) end

---@class ctz.docker.containers.wait.opts
---@field condition? string  "not-running" (default), "next-exit" or "removed"
---@field timeout? ctz.seconds

---Waits until a container has ended and returns its exit code.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.containers.wait.opts
---@return integer
function docker.containers.wait(container, opts) end

---@class ctz.docker.containers.wait_until.opts
---@field healthy? boolean  its health check succeeds
---@field log? string|fun(line: string): any  a line of its log holds this text, or the function says so
---@field port? integer  somebody listens on this port of the container
---@field http? integer|table  {port=, path="/", status=}: it answers there, without status with less than 400
---@field file? string  this path exists in it
---@field exit? boolean|integer  true: it has ended; a number: with this exit code
---@field timeout? ctz.seconds  default 60

---Waits until all that is asked for holds. A container that ends before fails at once, with the end of its log; so does one that is unhealthy, or that has no health check at all.
---@async
---@param container string|ctz.docker.container  name, id or object
---@param opts ctz.docker.containers.wait_until.opts
---@return true
function docker.containers.wait_until(container, opts) end

docker.images = {}

---The object of an image as of ctz.docker.images.get, nil when there is none.
---@async
---@param image string|ctz.docker.image  name, id or object
---@return ctz.docker.image|nil
function docker.images.find(image) end

---The object of an image. Beside the fields of ctz.docker.images.list it has tags and digests (all its names), architecture, os, variant, and layers (the digests of their content).
---@async
---@param image string|ctz.docker.image  name, id or object
---@return ctz.docker.image
function docker.images.get(image) end

---What made an image, the last step first: a list of {id, created, created_by, size_bytes, comment, tags, raw}. id is nil where the engine does not know it.
---@async
---@param image string|ctz.docker.image  name, id or object
---@return table
function docker.images.history(image) end

---@class ctz.docker.images.import.opts
---@field name? string  "repository:tag"
---@field changes? string[]  Dockerfile instructions: {'CMD ["sh"]', "ENV PATH=/bin"}
---@field message? string
---@field platform? string  "linux/arm64"; default: the engine's
---@field on_progress? fun(event: table)  as of ctz.docker.images.load; default: a line of progress
---@field timeout? ctz.seconds  until the engine has taken it

---Makes an image with one layer of a root file system in a tar archive, and returns its object. In a dry run the object has planned=true.
---@async
---@param source string|function|table  path of a file, an address (https://...) that the engine asks, a function that returns its pieces, or {bytes=}
---@param opts? ctz.docker.images.import.opts
---@return ctz.docker.image
function docker.images.import(source, opts) end

---@class ctz.docker.images.inspect.opts
---@field platform? string  "linux/arm64": of an image for several; needs API 1.49
---@field timeout? ctz.seconds

---All that the engine says of an image, as it says it.
---@async
---@param image string|ctz.docker.image  name, id or object
---@param opts? ctz.docker.images.inspect.opts
---@return table
function docker.images.inspect(image, opts) end

---@class ctz.docker.images.list.opts
---@field all? boolean  also the images between the steps of a classic build
---@field filters? table  {name = value or list}: before, dangling, label, reference, since, until
---@field timeout? ctz.seconds

---The images by name, one entry for each tag: a list of image objects {id, repository, tag, digest, full_name, created, size_bytes, labels, raw}. An image without a name has neither repository nor tag, and its id as full_name; created is in seconds since 1970; raw is the engine's own answer. Their methods are get, history, inspect, push, remove and save.
---@async
---@param opts? ctz.docker.images.list.opts
---@return ctz.docker.image[]
function docker.images.list(opts) end

---@class ctz.docker.images.load.opts
---@field platform? string  only this one of images for several; needs API 1.48
---@field on_progress? fun(event: table)  {id, status, current, total, sum_current, sum_total, raw}; while the archive is sent the status is "Sending"
---@field timeout? ctz.seconds  until the engine has taken it

---Takes images from a tar archive, as docker save or `ctz build --to docker-archive:` make it, and returns their names, or the id of one that has none. Shows a line of progress, unless on_progress is given. In a dry run the list is empty.
---@async
---@param source string|function|table  path of a file, a function that returns its pieces, or {bytes=}
---@param opts? ctz.docker.images.load.opts
---@return string[]
function docker.images.load(source, opts) end

---@class ctz.docker.images.prune.opts
---@field all? boolean
---@field filters? table  {name = value or list}: label, label!, until
---@field timeout? ctz.seconds

---Removes the images that have no name and that no container uses; with all=true also those with a name. Returns {removed={ids}, untagged={names}, bytes_freed=}, in a dry run with empty lists.
---@async
---@param opts? ctz.docker.images.prune.opts
---@return {removed: string[], untagged: string[], bytes_freed: ctz.bytes}
function docker.images.prune(opts) end

---@class ctz.docker.images.pull.opts
---@field platform? string  "linux/arm64"
---@field auth? table|false  {username=, password=} or {identity_token=}; false: nobody; default: as docker login left it (ctz.registry.credentials)
---@field on_progress? fun(event: table)  {id, status, current, total, sum_current, sum_total, raw}; id is a layer
---@field timeout? ctz.seconds  until it begins

---Has the engine fetch an image from its registry and returns its object; docker.pull for short. Shows the bytes of all layers as one line of progress, unless on_progress is given. In a dry run the object has planned=true.
---@async
---@param name string  "alpine", "ghcr.io/owner/name:1.2", "name@sha256:..."; without a tag it is "latest"
---@param opts? ctz.docker.images.pull.opts
---@return ctz.docker.image
function docker.images.pull(name, opts) end

---@class ctz.docker.images.push.opts
---@field platform? string  only this one of an image for several; needs API 1.46
---@field auth? table|false  {username=, password=} or {identity_token=}; false: nobody; default: as docker login left it (ctz.registry.credentials)
---@field on_progress? fun(event: table)  {id, status, current, total, sum_current, sum_total, raw}; id is a layer
---@field timeout? ctz.seconds  until it begins

---Has the engine send an image to its registry; docker.push for short. Returns {name, tag, digest, size_bytes}: of its manifest there. Shows the bytes of all layers as one line of progress, unless on_progress is given. In a dry run there is no digest.
---@async
---@param name string|ctz.docker.image  "registry.example/team/web:1"; without a tag it is "latest"
---@param opts? ctz.docker.images.push.opts
---@return {name: string, tag: string, digest: string, size_bytes: ctz.bytes}
function docker.images.push(name, opts) end

---@class ctz.docker.images.remove.opts
---@field force? boolean  also when a stopped container uses it; by id: with all its names
---@field noprune? boolean  keeps those it was made from that have no name
---@field timeout? ctz.seconds

---Takes a name off an image, and removes the image when that was its last one. By its id an image with one name is removed. Returns {untagged={names}, deleted={ids}}, in a dry run with empty lists.
---@async
---@param image string|ctz.docker.image  name, id or object, which stands for its name
---@param opts? ctz.docker.images.remove.opts
---@return {untagged: string[], deleted: string[]}
function docker.images.remove(image, opts) end

---@class ctz.docker.images.save.opts
---@field to? string  path of a file
---@field platform? string  only this one of images for several; needs API 1.48
---@field on_progress? fun(event: table)  {current} with `to`: bytes so far; default: a line of progress
---@field timeout? ctz.seconds  until it begins

---Images as a tar archive, as docker save makes it. With `to` it becomes this file, which appears when it is complete, and the result is {path=, size_bytes=}; else for chunk in ctz.docker.images.save("web") do gives its bytes as they come, and raises at the end when the engine could not give all.
---@async
---@param images string|ctz.docker.image|table  name, id or object, or a list of them
---@param opts? ctz.docker.images.save.opts
---@return iterator | table
function docker.images.save(images, opts) end

---@class ctz.docker.images.tag.opts
---@field timeout? ctz.seconds

---Gives an image one more name. An image that had it loses it.
---@async
---@param image string|ctz.docker.image  name, id or object
---@param name string  "repository:tag"; without a tag it is "latest"
---@param opts? ctz.docker.images.tag.opts
---@return true
function docker.images.tag(image, name, opts) end

---@class ctz.docker.manage.opts
---@field operation string  create run start stop restart kill pause unpause remove logs inspect
---@field container? string|ctz.docker.container  not for create and run, which make one
---@field config? table  of create and run: as of ctz.docker.config; else the options of the operation
---@field check? boolean  false: a failure is a record with success=false

---One operation on a container, as a record: {operation, container_name, container_id, success, status, execution_time (seconds), logs (of the operation logs), error_message}. A failure raises like every other, with the record as err.result; with check=false the record is returned.
---@async
---@param opts ctz.docker.manage.opts
---@return table
function docker.manage(opts) end

docker.networks = {}

---@class ctz.docker.networks.connect.opts
---@field aliases? string[]  more names that it has there
---@field address? string  its IPv4 address there
---@field address6? string  its IPv6 address there
---@field link_local? string[]  more addresses
---@field links? string[]  "container:alias"
---@field mac_address? string  needs API 1.44
---@field driver_opts? table  {name = value}
---@field priority? integer  the highest is where its way out is; needs API 1.48
---@field timeout? ctz.seconds

---Connects a container, running or not, to a network.
---@async
---@param network string|ctz.docker.network  name, id or object
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.networks.connect.opts
---@return true
function docker.networks.connect(network, container, opts) end

---@class ctz.docker.networks.create.opts
---@field driver? string  default "bridge"
---@field ipam? table  {subnet="10.1.0.0/16", ip_range=, gateway=, aux_addresses={name = address}}, a list of such tables, or {driver=, options=, config={list of such tables}}
---@field options? table  {name = value} of the driver
---@field labels? table  {name = value} or {"name=value"}
---@field internal? boolean  no way out of it
---@field attachable? boolean  in a swarm: containers may be connected by hand
---@field ingress? boolean  the routing mesh of a swarm
---@field ipv4? boolean  default true; false needs API 1.48
---@field ipv6? boolean
---@field scope? string  "swarm" or "local"
---@field config_only? boolean  a template for others
---@field config_from? string  the template
---@field timeout? ctz.seconds

---Makes a network. In a dry run the object has planned=true, and its name as id.
---@async
---@param name string
---@param opts? ctz.docker.networks.create.opts
---@return ctz.docker.network
function docker.networks.create(name, opts) end

---@class ctz.docker.networks.disconnect.opts
---@field force? boolean  also one that is gone already
---@field timeout? ctz.seconds

---Takes a container off a network.
---@async
---@param network string|ctz.docker.network  name, id or object
---@param container string|ctz.docker.container  name, id or object
---@param opts? ctz.docker.networks.disconnect.opts
---@return true
function docker.networks.disconnect(network, container, opts) end

---The object of a network as of ctz.docker.networks.get, nil when there is none.
---@async
---@param network string|ctz.docker.network  name, id or object
---@return ctz.docker.network|nil
function docker.networks.find(network) end

---The object of a network. Beside the fields of ctz.docker.networks.list it has containers, those that are connected and run: a list of {id=, name=, address=, address6=, mac_address=}.
---@async
---@param network string|ctz.docker.network  name, id or object
---@return ctz.docker.network
function docker.networks.get(network) end

---@class ctz.docker.networks.inspect.opts
---@field verbose? boolean  also the services and tasks of a swarm
---@field timeout? ctz.seconds

---All that the engine says of a network, as it says it.
---@async
---@param network string|ctz.docker.network  name, id or object
---@param opts? ctz.docker.networks.inspect.opts
---@return table
function docker.networks.inspect(network, opts) end

---@class ctz.docker.networks.list.opts
---@field filters? table  {name = value or list}: dangling, driver, id, label, name, scope, type
---@field timeout? ctz.seconds

---The networks by name: a list of network objects {id, name, driver, scope, created, internal, attachable, ingress, ipv6, ipam, options, labels, raw}. created is in seconds since 1970; ipam is {driver=, options=, config={{subnet=, ip_range=, gateway=, aux_addresses=}}}; raw is the engine's own answer. Their methods are connect, disconnect, inspect and remove.
---@async
---@param opts? ctz.docker.networks.list.opts
---@return ctz.docker.network[]
function docker.networks.list(opts) end

---@class ctz.docker.networks.prune.opts
---@field filters? table  {name = value or list}: label, label!, until
---@field timeout? ctz.seconds

---Removes all networks that no container is connected to, but those of the engine: {removed = {names}}. In a dry run the list is empty.
---@async
---@param opts? ctz.docker.networks.prune.opts
---@return {removed: string[]}
function docker.networks.prune(opts) end

---@class ctz.docker.networks.remove.opts
---@field timeout? ctz.seconds

---Removes a network that no container is connected to.
---@async
---@param network string|ctz.docker.network  name, id or object
---@param opts? ctz.docker.networks.remove.opts
---@return true
function docker.networks.remove(network, opts) end

---@class ctz.docker.run.config
---@field image string
---@field command? string[]  program and arguments
---@field detach? boolean
---@field remove? boolean  the container is removed when it has ended
---@field ephemeral? boolean  with detach: removed when the innermost ctz.scope ends, also by an error or Ctrl-C
---@field stdin? string|function|boolean  what it reads; a function gives pieces until nil
---@field stdout? fun(line: string)  is called with each line; then the result has no stdout
---@field stderr? fun(line: string)
---@field check? boolean  false: any exit code is a result
---@field timeout? ctz.seconds  until the container has ended, with detach until it runs

---Makes a container, starts it, waits for its end and returns {exit_code, stdout, stderr}; a code other than 0 raises. With detach=true it returns the running container's object at once. What is in config beside the following is that of ctz.docker.config. A call left by an error, a cancel or Ctrl-C kills the container, and with remove=true removes it.
---@async
---@param config ctz.docker.run.config
---@return {exit_code: integer, stdout: string, stderr: string}
function docker.run(config) end

docker.system = {}

---@class ctz.docker.system.df.opts
---@field timeout? ctz.seconds

---What takes space: {images=, containers=, volumes=, build_cache=, raw=}, each as {count, active, size_bytes, reclaimable_bytes}; active are those that are in use.
---@async
---@param opts? ctz.docker.system.df.opts
---@return table
function docker.system.df(opts) end

---@class ctz.docker.system.events.opts
---@field since? string|number  what happened since then comes first; a time, or how long ago ("10m")
---@field until? string|number  ends there
---@field filters? table  {name = value or list}: type, event, container, image, label, network, volume, ...
---@field reconnect? ctz.seconds  to try to reach the engine again; default 60, 0: not at all
---@field timeout? ctz.seconds  until it has begun

---for event in ctz.docker.system.events() do print(event.type, event.action, event.name) end: what happens on the engine from now on, each as {type, action, detail, id, name, attributes, scope, time, raw}: "container", "health_status", "healthy", ... time is in seconds since 1970, raw the engine's own answer, raw.timeNano its exact time. When the engine restarts or the connection breaks it goes on as soon as the engine answers: what the engine still knows of the time between is neither lost nor told twice. break closes the connection; nothing wakes while nothing happens. The iterator may be held: `local events <close> = ...`, events(), events:close().
---@async
---@param opts? ctz.docker.system.events.opts
---@return fun(): any
function docker.system.events(opts) end

---What the engine is and has: {id, name, version, os, os_type, arch, kernel, cpus, memory_bytes, containers = {all, running, paused, stopped}, images, storage_driver, root_dir, cgroup_driver, cgroup_version, runtimes, default_runtime, rootless, containerd_store, swarm, labels, warnings, raw}.
---@async
---@return table
function docker.system.info() end

---@class ctz.docker.system.ping.opts
---@field timeout? ctz.seconds

---Asks the engine whether it is there: {api_version=, newest_api_version=, os=, builder=, experimental=}. api_version is the one that ctz speaks to it, builder is "2" where BuildKit is the default.
---@async
---@param opts? ctz.docker.system.ping.opts
---@return {api_version: string, newest_api_version: string, os: string, builder: string?, experimental: boolean}
function docker.system.ping(opts) end

---@class ctz.docker.system.prune.opts
---@field what? string[]  of containers, networks, volumes, images, build_cache; default: all but volumes
---@field all? boolean  also images with a name that no container uses, volumes with a name, all of the cache
---@field filters? table  {name = value or list}: label, label!, until; a label leaves the build cache alone
---@field timeout? ctz.seconds  for each kind

---Removes what is not in use: containers that do not run, networks without containers, images without a name, the build cache. Returns {containers={ids}, networks={names}, volumes={names}, images={ids}, build_cache={ids}, bytes_freed=}: what was removed.
---@async
---@param opts? ctz.docker.system.prune.opts
---@return table
function docker.system.prune(opts) end

---@class ctz.docker.system.version.opts
---@field timeout? ctz.seconds

---{version=, api_version=, os=, arch=, kernel=, raw=}: api_version is the one that ctz speaks to it.
---@async
---@param opts? ctz.docker.system.version.opts
---@return {version: string, api_version: string, os: string, arch: string, kernel: string, raw: table}
function docker.system.version(opts) end

docker.volumes = {}

---@class ctz.docker.volumes.create.opts
---@field driver? string  default "local"
---@field options? table  {name = value} of the driver: {type="tmpfs", device="tmpfs", o="size=10m"}
---@field labels? table  {name = value} or {"name=value"}
---@field timeout? ctz.seconds

---Makes a volume. One that is there already, with the same driver, is the result as it is. In a dry run the object has planned=true.
---@async
---@param name? string  without one the engine chooses 64 hex digits
---@param opts? ctz.docker.volumes.create.opts
---@return ctz.docker.volume
function docker.volumes.create(name, opts) end

---The object of a volume, nil when there is none.
---@async
---@param volume string|ctz.docker.volume  name or object
---@return ctz.docker.volume|nil
function docker.volumes.find(volume) end

---The object of a volume: see ctz.docker.volumes.list.
---@async
---@param volume string|ctz.docker.volume  name or object
---@return ctz.docker.volume
function docker.volumes.get(volume) end

---@class ctz.docker.volumes.inspect.opts
---@field timeout? ctz.seconds

---All that the engine says of a volume, as it says it.
---@async
---@param volume string|ctz.docker.volume  name or object
---@param opts? ctz.docker.volumes.inspect.opts
---@return table
function docker.volumes.inspect(volume, opts) end

---@class ctz.docker.volumes.list.opts
---@field filters? table  {name = value or list}: dangling, driver, label, name
---@field timeout? ctz.seconds

---The volumes by name: a list of volume objects {id, name, driver, scope, created, mountpoint, options, labels, raw}. The id of a volume is its name; created is in seconds since 1970; raw is the engine's own answer. Their methods are inspect and remove.
---@async
---@param opts? ctz.docker.volumes.list.opts
---@return ctz.docker.volume[]
function docker.volumes.list(opts) end

---@class ctz.docker.volumes.prune.opts
---@field all? boolean  also those with a name
---@field filters? table  {name = value or list}: label, label!
---@field timeout? ctz.seconds

---Removes the volumes that no container uses: those without a name of theirs, with all=true all. Returns {removed = {names}, bytes_freed=}, in a dry run with an empty list.
---@async
---@param opts? ctz.docker.volumes.prune.opts
---@return {removed: string[], bytes_freed: ctz.bytes}
function docker.volumes.prune(opts) end

---@class ctz.docker.volumes.remove.opts
---@field force? boolean  also when there is none, or its driver is gone
---@field timeout? ctz.seconds

---Removes a volume and all that is in it.
---@async
---@param volume string|ctz.docker.volume  name or object
---@param opts? ctz.docker.volumes.remove.opts
---@return true
function docker.volumes.remove(volume, opts) end

---@class ctz.attached
local attached = {}

---Leaves the container; what runs there goes on.
---@return true
function attached:close() end

---The end of the standard input; output may still come.
---@return true
function attached:close_stdin() end

---for line in attached:lines() do ... end: {stream=, text=} of both streams as they come; a line over the limit log_line_bytes comes in parts with partial=true. break closes the connection.
---@async
---@return fun(): any
function attached:lines() end

---for stream, bytes in attached:parts() do ... end: the bytes as they come, not cut into lines.
---@async
---@return fun(): any
function attached:parts() end

---The size of the terminal; only where there is one (tty=true).
---@async
---@param rows integer
---@param columns integer
---@return true
function attached:resize(rows, columns) end

---Sends bytes to the standard input.
---@async
---@param bytes string
---@return true
function attached:write(bytes) end

---@class ctz.docker.ContainerConfig
local containerconfig = {}

---The networks that are connected after the container was created: before API 1.44 create takes one network only. Each is {name=, settings=}, and settings is the EndpointConfig of POST /networks/{name}/connect.
---@param api_version? string  that of the connection, default "1.41"
---@return {name: string, settings: table}[]
function containerconfig:networks_after(api_version) end

---The body of POST /containers/create, and what goes into its query: name and platform. Secrets are in it as plain texts.
---@param api_version? string  that of the connection, default "1.41"
---@return table # the body
---@return {name: string?, platform: string?} # the query
function containerconfig:to_api(api_version) end

---The same container as arguments behind `docker run`: process.run{"docker", "run", table.unpack(args)}. Secrets are not among them: docker reads these variables from its own environment, which the second result is for (env= of process.run). The third says what docker run has no words for; it is empty nearly always.
---@return string[] # the arguments
---@return table<string, string|ctz.secret|false> # the environment for docker
---@return string[] # notes
function containerconfig:to_run_args() end

---@class ctz.docker.container
local container = {}

---Asks the engine again and updates the fields of the object.
---@async
---@return container
function container:refresh() end

---@class ctz.docker.image
local image = {}

---@class ctz.docker.image.analyze.opts
---@field platform? string  default: this machine's

---What the image is made of, as ctz.image.analyze tells it. The engine's image is saved for it as a file that goes again.
---@async
---@param opts? ctz.docker.image.analyze.opts
---@return table
function image:analyze(opts) end

---@class ctz.program
local program = {}

---Waits until the program has ended and returns its exit code; output nobody took is dropped.
---@async
---@return integer
function program:wait() end

return docker
