-- fill.lua NAMESPACE COUNT: makes a namespace with pods like those of a service, which nobody schedules.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local namespace, count = ...

local k = ctz.kubernetes.connect { namespace = namespace, requests = 16, rps = 0 }
local numbers = {}
for i = 1, math.tointeger(tonumber(count)) do
  numbers[i] = i
end

k:create { apiVersion = "v1", kind = "Namespace", metadata = { name = namespace } }
k:apply { apiVersion = "v1", kind = "ServiceAccount", metadata = { name = "default" } } -- which nobody makes here
ctz.map(numbers, function(i)
  local name = ("web-%05d"):format(i)
  k:create {
    apiVersion = "v1",
    kind = "Pod",
    metadata = { name = name, labels = { app = "web", ["app.kubernetes.io/instance"] = name, tier = "front" } },
    spec = {
      containers = ctz.json.array {
        {
          name = "web",
          image = "registry.example.com/shop/web:1.4.2",
          env = ctz.json.array { { name = "MODE", value = "production" }, { name = "SHARD", value = tostring(i) } },
          ports = ctz.json.array { { name = "http", containerPort = 8080 } },
          resources = { requests = { cpu = "100m", memory = "64Mi" }, limits = { memory = "128Mi" } },
        },
      },
    },
  }
end, { jobs = 16 })
print(#numbers)
