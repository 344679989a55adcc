-- registry/init.lua: registries: what is in them, and what of them needs no connection.
-- SPDX-License-Identifier: MIT
local require, rawset, setmetatable = require, rawset, setmetatable

-- One file each, loaded when first named.
local modules <const> = { reference = true, credentials = true }
-- Functions that stand beside them, and where they are.
local functions <const> = { connect = "client", copy = "copy", retain = "retain", sync = "sync", manage = "manage" }

return setmetatable({}, {
  __index = function(self, name)
    if modules[name] then
      local module = require("ctz.registry." .. name)
      rawset(self, name, module)
      return module
    elseif functions[name] then
      local fn = require("ctz.registry." .. functions[name])[name]
      rawset(self, name, fn)
      return fn
    end
  end,
})
