-- registry/clients.lua: how the registries that references name are reached: one client for each host.
-- SPDX-License-Identifier: MIT
local connect = require("ctz.registry.client").connect
local hosts = require "ctz.registry.hosts"
local new_error = require("ctz.core.task").error

local error, getmetatable, pairs, setmetatable, type = error, getmetatable, pairs, setmetatable, type

local Clients = {}
Clients.__index = Clients

local function is_client(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and meta.__name == "ctz.registry.client"
end

-- The client for a host, the same one each time.
function Clients:of(domain)
  local name = hosts.canonical(domain:lower())
  self.by_name[name] = self.by_name[name] or connect(name)
  return self.by_name[name]
end

-- new(op, registries) -> clients. registries: {["host:5000"] = options of registry.connect, or a client}, or
-- clients, which stay as they are, or nil.
local function new(op, registries)
  if getmetatable(registries) == Clients then
    return registries
  end
  local by_name = {}
  for host, given in pairs(registries or {}) do
    if type(host) ~= "string" or type(given) ~= "table" then
      error(new_error {
        kind = "usage", op = op, hint = 'registries={["host:5000"]={auth=, tls=, http=, mirrors=, rps=, connections=}}',
        message = "opts.registries: expected hosts, each with its options or a client of registry.connect",
      }, 0)
    end
    local client = is_client(given) and given or connect(host, given)
    by_name[is_client(given) and hosts.canonical(host:lower()) or client.name] = client
  end
  return setmetatable({ by_name = by_name }, Clients)
end

return { new = new }
