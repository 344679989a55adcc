-- docker/bind.lua: functions that take a client first become the functions of one client.
-- SPDX-License-Identifier: MIT
local marked = require "ctz.docker.marked"

local rawset, setmetatable = rawset, setmetatable

-- bind({start = function(client, id) ... end}, client).start(id)
local function bind(functions, client)
  return setmetatable({}, {
    __index = function(self, name)
      local fn = functions[name]
      if not fn then
        return nil
      end
      local function bound(...)
        return marked(client, fn, ...)
      end
      rawset(self, name, bound)
      return bound
    end,
  })
end

return bind
