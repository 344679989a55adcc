-- ctz: tasks and what they are composed of; the other modules load on first use.
-- SPDX-License-Identifier: MIT
local task = require "ctz.core.task"
local channel = require "ctz.core.channel"

local ctz = {
  spawn = task.spawn,
  scope = task.scope,
  timeout = task.timeout,
  defer = task.defer,
  sleep = task.sleep,
  tasks = task.tasks,
  remaining = task.remaining,
  error = task.error,
  channel = channel.channel,
}

local modules = {
  fs = true, process = true, http = true, json = true, yaml = true, hash = true, time = true, path = true,
  env = true, base64 = true, image = true, inspect = true, log = true, ui = true,
}

return setmetatable(ctz, {
  __index = function(self, name)
    if modules[name] then
      local module = require("ctz." .. name)
      rawset(self, name, module)
      return module
    end
  end,
})
