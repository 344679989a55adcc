---@meta ctz.docker
-- Generated from the doc comments; do not edit.

---a Docker Engine from a recipe. The module itself acts on the default engine.
---@class ctz.docker
local docker = {}

---@class ctz.docker.connect.opts
---@field host? string  "unix:///PATH", "tcp://HOST:PORT", "ssh://[USER@]HOST"
---@field context? string  name of a context
---@field tls? table  {ca=, cert=, key=} files or PEM texts, insecure=; default as the environment says

---An engine to work with: the result has all that ctz.docker has. Without options it is the engine that the docker command would use: DOCKER_HOST, else DOCKER_CONTEXT, else the current context of config.json, else the local socket. Nothing is sent yet.
---@param opts? ctz.docker.connect.opts
---@return ctz.docker
function docker.connect(opts) end

docker.system = {}

---{version=, api_version=, os=, arch=, kernel=, raw=}: api_version is the one that ctz speaks to it.
---@async
---@return {version: string, api_version: string, os: string, arch: string, kernel: string, raw: table}
function docker.system.version() end

return docker
