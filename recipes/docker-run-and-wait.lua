-- docker-run-and-wait.lua: starts a service, waits until it answers, uses it, and leaves nothing behind.
--
-- The container is ephemeral: it goes when the recipe ends, also when a step fails or Ctrl-C is pressed.
-- When the service ends or does not answer in time, the end of its log is in the error.
--
-- Usage:       ctz run recipes/docker-run-and-wait.lua image=IMAGE [port=80] [path=/] [wait=60] [-- COMMAND...]
-- Parameters:  image   what to run
--              port    of the container; it is published on a free port of 127.0.0.1
--              path    that has to answer with a status below 400
--              wait    seconds until it has to answer
-- Needs:       a Docker Engine
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "image", "ref", help = "what to run" },
  { "port", "int", default = 80, help = "of the container" },
  { "path", "string", default = "/", help = "that has to answer" },
  { "wait", "seconds", default = 60, help = "until it has to answer" },
}

local docker = ctz.docker

local service = docker.run {
  image = p.image,
  command = #ctz.args > 0 and { table.unpack(ctz.args) } or nil,
  ports = { ("127.0.0.1::%d"):format(p.port) },
  detach = true,
  ephemeral = true,
}
print(("%s runs as %s"):format(p.image, service.name))

local begun = ctz.time.monotonic()
service:wait_until { http = { port = p.port, path = p.path }, timeout = p.wait }
print(("it answers after %.1f s"):format(ctz.time.monotonic() - begun))

local address = service:refresh().ports[1]
local answer = ctz.http.get(("http://127.0.0.1:%d%s"):format(address.host_port, p.path))
print(("GET %s: %d, %d bytes"):format(p.path, answer.status, #answer.body))

for line in service:logs { tail = 5 } do
  print("log: " .. line.text)
end
