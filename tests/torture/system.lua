-- A handle, temporary files, a tree copied, walked and removed, io.popen, a failing program, a pty.
local ctz = require "ctz"
local process, fs = ctz.process, ctz.fs
local child <close> = process.spawn({"cat"}, {stdin="pipe"})
child:write("one\ntwo\n") child:close_stdin()
local n = 0
for _ in child:lines() do n = n + 1 end
assert(n == 2)
child:wait()
local dir <close> = fs.tempdir()
fs.mkdir(dir .. "/a/b", {parents = true})
fs.write(dir .. "/a/f", "text")
fs.append(dir .. "/a/f", "more")
fs.copy(dir .. "/a", dir .. "/c", {recursive = true})
assert(fs.read(dir .. "/c/f") == "textmore")
assert(#fs.glob("**/f", {root = dir.path}) == 2)
local m = 0
for _ in fs.walk(dir.path) do m = m + 1 end
assert(m == 6, m)
fs.remove(dir .. "/c", {recursive = true})
local pipe <close> = io.popen "echo x"
assert(pipe:read "l" == "x")
assert(os.execute "true")
local ok, err = pcall(process.run, {"sh", "-c", "echo e >&2; exit 1"})
assert(not ok)
if err.kind ~= "exit" then error(err, 0) end
process.run({"true"}, {pty=true, env={A="1"}})
