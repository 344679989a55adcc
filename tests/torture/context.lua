-- Ignore patterns, a folder as a stream, and back; hard links, an extra file, an error.
local ctz = require "ctz"
local core = require "ctz.core.context"
local ignore = ctz.ignore.compile("# comment\n**/*.log\n!keep.log\n*.{a|b}{2,3}[[:alpha:]\\d]?\ndir\n!dir/**/x\n")
assert(ignore:match "a/b.log" and not ignore:match "keep.log" and ignore:match "dir/y" and not ignore:match "dir/a/x")
local dir <close> = ctz.fs.tempdir()
local from, to = dir .. "/from", dir .. "/to"
ctz.fs.mkdir(from .. "/dir/a", {parents = true})
for _, name in ipairs {"keep.log", "b.log", "dir/a/x", "dir/y", "d\195\169j\195\160"} do
  ctz.fs.write(from .. "/" .. name, name)
end
ctz.fs.symlink("keep.log", from .. "/link")
local options = {root = from, ignore = ignore, always = {"b.log"}, extra = {{path = "Dockerfile", text = "FROM x"}}}
local reader <close> = core.open(options)
local writer <close> = core.extract(to)
for chunk in reader.read, reader do
  writer:write(chunk)
end
assert(writer:finish().entries == 8)
assert(ctz.fs.read(to .. "/dir/a/x") == "dir/a/x" and ctz.fs.read(to .. "/Dockerfile") == "FROM x")
assert(not ctz.fs.exists(to .. "/dir/y"))
local one <close> = core.open {root = from .. "/b.log", name = "n"}
local file <close> = core.extract(dir .. "/n", {file = true})
for chunk in one.read, one do
  file:write(chunk)
end
file:finish()
assert(ctz.fs.read(dir .. "/n") == "b.log")
local ok, err = pcall(ctz.ignore.compile, "[")
assert(not ok)
if err.kind ~= "usage" then error(err, 0) end
