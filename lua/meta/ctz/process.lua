---@meta ctz.process
-- Generated from the doc comments; do not edit.

---programs. Functions that get lines are called in the task that runs the program.
---@class ctz.process
local process = {}

---The file that a program's name means, as PATH has it; nil when there is none.
---@param name string
---@return string|nil
function process.find(name) end

---@class ctz.process.run.opts
---@field stdin? string|ctz.secret|table  text; {file=path}; {text=string} for text that may be any word; "inherit"; default: empty
---@field stdout? "capture"|"inherit"|"null"|fun(line: string)  inherit prints it, secrets masked; a function gets each line; default "capture"
---@field stderr? "capture"|"inherit"|"null"|fun(line: string)
---@field combined? boolean  stderr goes where stdout goes, in the order of writing
---@field cwd? string  the folder it starts in
---@field env? table<string, string|ctz.secret|false>  added to the environment; false takes a name out
---@field env_clear? boolean  start from an empty environment
---@field timeout? ctz.seconds  it is killed when it runs longer
---@field check? boolean  false: return whatever the code is; default true
---@field pty? boolean|{rows: integer, columns: integer}  give it a terminal (without echo) as stdin, stdout and stderr

---Runs a program to its end and returns {exit_code, stdout, stderr, seconds}. argv is a list of strings: no shell reads them. A code other than 0 raises kind exit. When the task is cancelled or times out, the program's whole process group is killed (SIGTERM, after 2 s SIGKILL) before the error goes on. What the program left behind in the background, holding its output open, is listened to until a second of silence.
---@async
---@param argv string[]  the program (a name is looked up in PATH) and its arguments; no secrets
---@param opts? ctz.process.run.opts
---@return ctz.process.Result # {exit_code, stdout, stderr, seconds, signal?}; 128 + signal is the code of a signal
function process.run(argv, opts) end

---@class ctz.process.spawn.opts
---@field stdin? string|ctz.secret|table  as for run; also "pipe", to write with child:write
---@field stdout? "stream"|"capture"|"inherit"|"null"  stream: for child:lines and child:read; capture: for the result of child:wait; default "stream"
---@field stderr? "stream"|"capture"|"inherit"|"null"  default "inherit"
---@field combined? boolean  stderr goes where stdout goes
---@field cwd? string
---@field env? table<string, string|ctz.secret|false>
---@field env_clear? boolean
---@field pty? boolean|{rows: integer, columns: integer}
---@field timeout? ctz.seconds  of its whole life

---Starts a program and returns a handle at once: read its output part by part, write to it, wait for it. The program is slowed down when its output is read slowly. It ends at the latest with the scope it was started in; `local child <close> = ...` ends it with the block. Options are those of run, and:
---@param argv string[]
---@param opts? ctz.process.spawn.opts
---@return ctz.process.Child
function process.spawn(argv, opts) end

---@class ctz.process.Child
local child = {}

---Ends the program if it runs (SIGTERM, after 2 s SIGKILL) and waits until nothing of its process group is left. `<close>` does it by itself.
---@async
---@return true
function child:close() end

---Ends its input, once what was written has been taken.
---@return true
function child:close_stdin() end

---Sends a signal to the program and its children. True also when it has ended.
---@param signal? string|integer  "TERM" (default), "HUP", 9, ...
---@return true
function child:kill(signal) end

---@class ctz.process.Child.lines.opts
---@field stream? "stdout"|"stderr"  default "stdout"
---@field idle_timeout? ctz.seconds  raise timeout after this silence

---Iterates over the lines of its output, without the line ends, as they come.
---@async
---@param opts? ctz.process.Child.lines.opts
---@return fun(): string
function child:lines(opts) end

---@class ctz.process.Child.read.opts
---@field stream? "stdout"|"stderr"  default "stdout"
---@field timeout? ctz.seconds

---The next of its output: some bytes as they come, or what a format of Lua's file:read asks for ("l", "L", "n", "a", a number of bytes). nil at the end.
---@async
---@param format? string|integer
---@param opts? ctz.process.Child.read.opts
---@return string|number|nil
function child:read(format, opts) end

---@class ctz.process.Child.wait.opts
---@field check? boolean  false: return whatever the code is; default true
---@field timeout? ctz.seconds  how long to wait; the program itself goes on

---Waits for its end and returns what run returns; output that nobody has read is in it.
---@async
---@param opts? ctz.process.Child.wait.opts
---@return ctz.process.Result
function child:wait(opts) end

---@class ctz.process.Child.write.opts
---@field timeout? ctz.seconds

---Writes to its stdin; returns when the pipe has taken it all.
---@async
---@param text string|ctz.secret
---@param opts? ctz.process.Child.write.opts
---@return true
function child:write(text, opts) end

return process
