-- cmd/tls.lua: --tls-verify=false of the commands: for one host, and no other.
-- SPDX-License-Identifier: MIT
local host_of = require("ctz.image.source").host_of
local new_error = require("ctz.core.task").error

-- unverified(op, {{value of the option, reference, name of the option}...}) -> registries of ctz.registry.copy
local function unverified(op, given)
  local registries = {}
  for _, one in ipairs(given) do
    if one[1] == "false" then
      local host = host_of(one[2])
      if not host then
        error(new_error { kind = "usage", op = op, exit_status = 2,
          message = ("--%s=false is about a registry, and %s names none"):format(one[3], one[2]) }, 0)
      end
      registries[host] = { tls = { insecure = true } }
    end
  end
  return registries
end

return { unverified = unverified }
