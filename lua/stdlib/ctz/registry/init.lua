-- registry/init.lua: registries, and what of them needs no connection.
-- SPDX-License-Identifier: MIT
local require, rawset, setmetatable = require, rawset, setmetatable

-- One file each, loaded when first named.
local modules <const> = { reference = true, credentials = true }

return setmetatable({}, {
  __index = function(self, name)
    if modules[name] then
      local module = require("ctz.registry." .. name)
      rawset(self, name, module)
      return module
    end
  end,
})
