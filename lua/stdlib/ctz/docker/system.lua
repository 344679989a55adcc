-- docker/system.lua: the engine itself.
-- SPDX-License-Identifier: MIT
local system = {}

--- ctz.docker.system.version() -> table
--- {version=, api_version=, os=, arch=, kernel=, raw=}: api_version is the one that ctz speaks to it.
--- @async
--- @return {version: string, api_version: string, os: string, arch: string, kernel: string, raw: table}
--- @error unreachable no engine answers
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.system.version)
--- @example assert(err:is "unreachable")
function system.version(client)
  local raw = client:call("GET", "/version", { op = "docker.system.version" })
  return {
    version = raw.Version,
    api_version = client.api,
    os = raw.Os,
    arch = raw.Arch,
    kernel = raw.KernelVersion,
    raw = raw,
  }
end

return system
