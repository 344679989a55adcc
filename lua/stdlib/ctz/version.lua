-- ctz.version: which ctz this is; tostring(ctz.version) is "0.1.0".
-- SPDX-License-Identifier: MIT
local host = require "ctz.core.host"

return setmetatable({ ctz = host.version, lua = _VERSION }, {
  __tostring = function(self)
    return self.ctz
  end,
})
