-- ctz.env: the environment: ctz.env.HOME, pairs(ctz.env).
-- SPDX-License-Identifier: MIT
local core = require "ctz.core.system".env
local new_error = require "ctz.core.task".error

local next, setmetatable, type = next, setmetatable, type

--- ctz.env.NAME -> string|nil
--- The value of a variable of the environment, nil when it is not set. pairs(ctz.env) goes over all
--- that the run may see. It cannot be changed: programs get what they need by the option env.
--- @return string|nil
--- @error denied  the run may not see that variable
--- @error unsupported  a variable is assigned
--- @example assert(type(ctz.env.PATH) == "string" and ctz.env.NO_SUCH_NAME == nil)
return setmetatable({}, {
  __name = "ctz.env",
  __index = function(_, name)
    if type(name) == "string" and name ~= "" and not name:find "\0" then
      return core.get(name)
    end
  end,
  __newindex = function(_, name)
    error(new_error {
      kind = "unsupported",
      op = "env",
      message = ("%s cannot be set: the environment of the run does not change"):format(name),
      hint = ("hand it to a program: process.run(argv, {env = {%s = ...}})"):format(name),
    }, 2)
  end,
  __pairs = function()
    return next, core.all()
  end,
})
