-- One child process with input and captured output.
local process = require "ctz.process"
local result = process.run({ "cat" }, { stdin = "through a child" })
assert(result.stdout == "through a child" and result.exit_code == 0)
