-- context.lua HOST FOLDER: sends a folder as the context of a build; prints when it began to, by the monotonic clock.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local docker = ctz.docker.connect { host = ctz.args[1] }
docker.system.version() -- who it is, is known before
local begun = ctz.time.monotonic()
docker.build { context = ctz.args[2], builder = "classic" }
print(begun)
