---@meta ctz
-- Generated from the doc comments; do not edit.

---A time in seconds, fractions allowed.
---@alias ctz.seconds number

---A size in bytes.
---@alias ctz.bytes integer

---What every failure raises.
---@class ctz.error
---@field kind ctz.error.kind
---@field message string
---@field op? string  the function as called
---@field hint? string  what to do
---@field at? string  file:line of the recipe
---@field target? string  what it was about
---@field code? string  the other side's own word
---@field status? integer  of an HTTP answer
---@field exit_code? integer  of a program
---@field stderr? string  of a program
---@field attempts? integer
---@field retry_after? ctz.seconds
---@field retryable? boolean
---@field cause? ctz.error
---@field others? any[]  errors that came later

---What a recipe can branch on.
---@alias ctz.error.kind
---| "usage" # the call itself is wrong
---| "not_found" # the named thing does not exist
---| "conflict" # the named thing is in another state, or exists already
---| "denied" # not allowed: by --allow, by the system or by the server
---| "auth" # who you are was not accepted
---| "unreachable" # no answer: nobody listens, no route, no such host
---| "timeout" # a deadline passed
---| "cancelled" # somebody cancelled the task
---| "rate_limited" # the server asks to wait
---| "protocol" # the other side sent what it must not send
---| "digest" # content does not match its digest
---| "size" # a limit on size, depth or number was passed
---| "exit" # a program ended with a code other than 0
---| "io" # the system could not read or write
---| "unsupported" # this cannot be done here, or not in this mode
---| "internal" # a bug of ctz

---tasks and what they are composed of; the other modules load on first use.
---@class ctz
---@field base64 ctz.base64
---@field docker ctz.docker
---@field env ctz.env
---@field fs ctz.fs
---@field hash ctz.hash
---@field http ctz.http
---@field ignore ctz.ignore
---@field image ctz.image
---@field json ctz.json
---@field kubernetes ctz.kubernetes
---@field log ctz.log
---@field path ctz.path
---@field process ctz.process
---@field registry ctz.registry
---@field simulate ctz.simulate
---@field time ctz.time
---@field ui ctz.ui
---@field yaml ctz.yaml
local ctz = {}

---The words of the command line that no parameter took, and all that follow `--`. At index 0 stands the recipe. It is the same table as the global `arg`.
---@type string[]
ctz.args = nil

---A queue between tasks: channel:send(v), channel:receive(), channel:each(), channel:close().
---@param capacity? integer  values held before send waits; default 0: send waits for the receiver
---@return ctz.channel
function ctz.channel(capacity) end

---Keeps fn for the end of the current scope: it runs after the scope's tasks have ended, also after an error or a cancel, the last one first, and may wait within the clean-up budget.
---@param fn any
---@return true
function ctz.defer(fn) end

---Makes an error value, to be raised with error(). kind and message are required; hint, op, target, code, cause, retryable and other facts are kept as given.
---@param fields table
---@return ctz.error
function ctz.error(fields) end

---@class ctz.fail.opts
---@field code? integer  the exit code of the run, 1 to 125; default 1, a gate uses 3
---@field hint? string

---Ends the recipe as failed, after clean-up: for gates and policies.
---@param message string
---@param opts? ctz.fail.opts
function ctz.fail(message, opts) end

---@class ctz.inspect.opts
---@field width? integer  characters of a line, default 100
---@field depth? integer  tables inside of tables, default 8; deeper ones are `{...}`
---@field items? integer  items shown of each table, default 100
---@field newline? string  what ends a line, default a line feed; "" puts all on one line

---Any value as text that reads like Lua: keys in order, one line where it fits, cut where it is too much. A table that is shown twice, or contains itself, is labelled `<1>` and named `<table 1>` afterwards. A secret is `***`, a JSON null is `null`.
---@param value any
---@param opts? ctz.inspect.opts
---@return string
function ctz.inspect(value, opts) end

---@class ctz.map.opts
---@field jobs? integer  default 8
---@field collect? boolean  true: each result is {ok=, value=, err=} and nothing is raised

---Calls fn(item, index) for every item, at most `jobs` at once, and returns the results in the order of the list. The first failure cancels the rest and is raised, unless collect is true.
---@async
---@param list any[]
---@param fn fun(item: any, index: integer): any
---@param opts? ctz.map.opts
---@return table
function ctz.map(list, fn, opts) end

---How the run was started: {dry_run=, simulate=, json=, quiet=, debug=}, all booleans.
---@return {dry_run: boolean, simulate: boolean, json: boolean, quiet: boolean, debug: boolean}
function ctz.mode() end

---Declares the parameters of the recipe and returns their values by name. They are given as name=value: `ctz run deploy.lua image=web:1 replicas=3`. A parameter without `default` (and not `optional`) is required. All that is wrong is reported at once, exit code 2. Words that are no parameter stay in ctz.args. Call it once, before any work: `ctz run deploy.lua --help` and `ctz check` run the recipe up to here with every door closed.
---
---Types: string int number bool path ref enum list secret seconds bytes. An enum has `choices`, a list (parted by commas, or given several times) may have `of`. A secret is named as @FILE, @- (stdin) or env:NAME, and never printed.
---@param declarations {[1]: string, [2]?: string, help?: string, default?: any, optional?: boolean}[]
---@return table<string, any>
function ctz.params(declarations) end

---Calls all functions at once and returns the results of the first that returns; the others are cancelled. When one raises first, its error is raised.
---@async
---@param fns (fun(): any...)[]
---@return any ...
function ctz.race(fns) end

---What is left of the nearest deadline around this line; math.huge without one.
---@return ctz.seconds
function ctz.remaining() end

---@class ctz.retry.opts
---@field times? integer  attempts in all, default 5
---@field backoff? {[1]: ctz.seconds, [2]: ctz.seconds}  first and longest wait, default {0.2, 10}
---@field on? string[]  kinds to repeat instead of those marked retryable

---Calls fn(attempt) until it succeeds. Repeats errors marked retryable, or of the kinds in `on`; waits between attempts with jitter, at least as long as the server asked (Retry-After). When the wait would pass the deadline, the error is raised at once. err.attempts tells how often it tried.
---@async
---@param fn fun(attempt: integer): any...
---@param opts? ctz.retry.opts
---@return any ...
function ctz.retry(fn, opts) end

---Calls fn(scope) and returns its results after every task that it spawned has ended. When one of them fails, the others and fn itself are cancelled, and the scope raises that error; errors that come later stand in err.others.
---@async
---@param fn fun(scope: ctz.scope): any...
---@return any ...
function ctz.scope(fn) end

---Wraps a text that must not be seen. print, .., %s and errors show ***, and from now on the text itself and its usual encodings leave the program as *** wherever they turn up: on stdout, stderr, in logs and reports. Texts under 4 bytes are wrapped, but not looked for in other output. What reveal gives is a string like any other; the wrapped copy is wiped when the run ends.
---@param text string|ctz.secret  a secret is returned as it is
---@return ctz.secret
function ctz.secret(text) end

---Lets at most `count` tasks at once past semaphore:acquire().
---@param count integer
---@return ctz.semaphore
function ctz.semaphore(count) end

---Suspends this task; the others go on. Zero lets every task that is ready run first.
---@async
---@param seconds ctz.seconds
---@return true
function ctz.sleep(seconds) end

---@class ctz.spawn.opts
---@field background? boolean  cancelled, not awaited, when the scope ends

---Starts fn as a task of the current scope, which waits for it before it ends. If the task fails, its siblings and the scope's own function are cancelled and the scope raises the error, whether or not anybody awaits the task.
---@param fn fun(): any...
---@param opts? ctz.spawn.opts
---@return ctz.task
function ctz.spawn(fn, opts) end

---The tasks that have not ended: id, doing, at (file:line), age (seconds of the present wait), background.
---@return {id: integer, doing: string, at?: string, age: number, background: boolean}[]
function ctz.tasks() end

---Calls fn(...) with a deadline for everything in it, its tasks included. When the deadline passes, the waiting line raises kind timeout; close handlers and defers still run. An inner timeout can only shorten an outer one.
---@async
---@param seconds ctz.seconds
---@param fn function
---@param ... any
---@return any ...
function ctz.timeout(seconds, fn, ...) end

---Calls fn(...) and returns its results; after a failure nil and the error. The one way to branch on a failure.
---@param fn function
---@param ... any
---@return any ...
function ctz.try(fn, ...) end

---@class ctz.channel
local channel = {}

---No more values: what is in it can still be received, then receive returns nil. A task that waits to send raises kind conflict.
---@return true
function channel:close() end

---For loops: every value until the channel is closed and empty.
---@async
---@return fun(): any
function channel:each() end

---@class ctz.channel.receive.opts
---@field timeout? ctz.seconds

---The next value; waits for one. nil when the channel is closed and empty.
---@async
---@param opts? ctz.channel.receive.opts
---@return any
function channel:receive(opts) end

---@class ctz.channel.send.opts
---@field timeout? ctz.seconds

---Hands a value to the task that receives it; waits while the channel is full.
---@async
---@param value any  not nil
---@param opts? ctz.channel.send.opts
---@return true
function channel:send(value, opts) end

---@class ctz.error
local error = {}

---True when the error is of that kind ("not_found") or of that family ("container").
---@param kind_or_family string
---@return boolean
function error:is(kind_or_family) end

---@class ctz.forward
local forward = {}

---Gives the local port back; connections that are open end.
---@return true
function forward:close() end

---A connection to the pod's port, without a local port: read() -> bytes or nil, write(bytes), close().
---@async
---@return tunnel
function forward:connect() end

---for stream in forward:connections() do ... end: connections to the local port, of a forward with serve=false: read(), write(bytes), finish(), close(). `forward:connect():carry(stream)` joins one to the pod.
---@async
---@return fun(): any
function forward:connections() end

---@class ctz.permit
local permit = {}

---Gives the permit back; a second call does nothing. `<close>` does it by itself.
---@return true
function permit:release() end

---@class ctz.remote
local remote = {}

---Leaves the container. The runtime ends the program's standard input; it may go on without us.
---@return true
function remote:close() end

---The end of the standard input; output may still come. Only servers that speak v5.channel.k8s.io (Kubernetes 1.30 and later) can be told so.
---@async
---@return true
function remote:close_stdin() end

---for line in remote:lines() do ... end: {stream=, text=} of both streams as they come; a line over the limit log_line_bytes comes in parts with partial=true. break closes the connection.
---@async
---@return fun(): any
function remote:lines() end

---for stream, bytes in remote:parts() do ... end: the bytes as they come, not cut into lines.
---@async
---@return fun(): any
function remote:parts() end

---The size of the terminal; only where there is one (tty=true).
---@async
---@param rows integer
---@param columns integer
---@return true
function remote:resize(rows, columns) end

---Waits until the program has ended and returns its exit code; output nobody took is dropped.
---@async
---@return integer
function remote:wait() end

---Sends bytes to the standard input; waits while the program does not read.
---@async
---@param bytes string
---@return true
function remote:write(bytes) end

---@class ctz.scope
local scope = {}

---Cancels everything in the scope: its tasks, and its own function at the line where it waits next.
---@return true
function scope:cancel() end

---As ctz.spawn, for this scope instead of the innermost one.
---@param fn any
---@param opts? any
---@return ctz.task
function scope:spawn(fn, opts) end

---@class ctz.secret
local secret = {}

---Compares with a text or another secret, in a time that does not tell where they differ. Two secrets may also be compared with ==.
---@param text string|ctz.secret
---@return boolean
function secret:equals(text) end

---The text itself, for the one place that needs it.
---@return string
function secret:reveal() end

---@class ctz.semaphore
local semaphore = {}

---@class ctz.semaphore.acquire.opts
---@field timeout? ctz.seconds

---Waits for one of the permits: `local permit <close> = semaphore:acquire()`.
---@async
---@param opts? ctz.semaphore.acquire.opts
---@return ctz.permit
function semaphore:acquire(opts) end

---@class ctz.task
local task = {}

---@class ctz.task.await.opts
---@field timeout? ctz.seconds  how long to wait; the task itself goes on

---Waits until the task has ended and returns what its function returned, or raises what it raised. The result is kept: any number of tasks may await it, also later.
---@async
---@param opts? ctz.task.await.opts
---@return any ...
function task:await(opts) end

---Cancels the task: the line where it waits raises kind cancelled. True also when it has ended.
---@return true
function task:cancel() end

---What has become of the task.
---@return "waiting"|"done"|"failed"|"cancelled"
function task:status() end

---@class ctz.tunnel
local tunnel = {}

---Carries both ways between the pod and a local connection until one of them ends.
---@async
---@param stream table  has read() -> bytes or nil, write(bytes), close()
---@return true
function tunnel:carry(stream) end

---Ends both directions: port-forward cannot end one alone.
---@return true
function tunnel:close() end

---What came from the pod, at least one byte; nil at the end.
---@async
---@return string|nil
function tunnel:read() end

---Sends bytes to the pod.
---@async
---@param bytes string
---@return true
function tunnel:write(bytes) end

return ctz
