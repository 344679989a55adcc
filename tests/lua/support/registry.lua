-- registry.lua: a registry on 127.0.0.1 (Debian's docker-registry) for specs of pull and push.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local registry = { username = "user", password = "s3cret" }

local CONFIG <const> = [[
version: 0.1
log: {accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0"}
]]
local AUTH <const> = "auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n"
local HTPASSWD <const> = "user:$2y$05$vfUC6jD5CGK1B4KbhW3svuQxwY6kYMIrQ7YFJw/meMYeS3DtydzEi\n" -- s3cret, by bcrypt

registry.is_there = os.execute "command -v docker-registry >/dev/null"

local Registry = {}
Registry.__index = Registry

function Registry:close()
  self.child:close()
  self.folder:close()
end

Registry.__close = Registry.close

--- An empty registry: {host = "127.0.0.1:PORT"}. auth=true: it knows registry.username only. Close it by <close>.
function registry.start(opts)
  local folder = ctz.fs.tempdir()
  local config = CONFIG:format(folder.path)
  if opts and opts.auth then
    ctz.fs.write(folder.path .. "/htpasswd", HTPASSWD)
    config = config .. AUTH:format(folder.path)
  end
  ctz.fs.write(folder.path .. "/config.yml", config)
  local child = ctz.process.spawn({ "docker-registry", "serve", folder.path .. "/config.yml" },
    { combined = true, env = { OTEL_TRACES_EXPORTER = "none" } })
  local self = setmetatable({ child = child, folder = folder }, Registry)
  for line in child:lines() do
    self.host = line:match "listening on (127%.0%.0%.1:%d+)"
    if self.host then
      break
    end
  end
  assert(self.host, "docker-registry did not start")
  self.reader = ctz.spawn(function() -- it would wait for somebody to read what it says
    for _ in child:lines() do -- luacheck: ignore 542
    end
  end, { background = true })
  return self
end

return registry
