-- kubernetes/builders/ingress.lua: the manifest of an Ingress.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local names = require "ctz.kubernetes.names"
local shared = require "ctz.kubernetes.builders.shared"

local ipairs, math_type, type = ipairs, math.type, type

local RULE <const> = { "host", "path", "path_type", "service", "port" }

local function read_rule(problems, given, where)
  if not problems:check(given, "table", where, true) then
    return nil
  end
  problems:check_keys(given, RULE, where)
  local port = given.port
  if type(port) ~= "string" and math_type(port) ~= "integer" then
    problems:usage(where .. ".port", "expected a number or name of a port of the service")
  end
  if given.host ~= nil then
    shared.name(problems, given.host, where .. ".host", function(host)
      return names.subdomain((host:gsub("^%*%.", "")))
    end)
  end
  return given.host, {
    path = given.path or "/",
    pathType = shared.choice(problems, given.path_type, where .. ".path_type",
      { "Prefix", "Exact", "ImplementationSpecific" }) or "Prefix",
    backend = { service = {
      name = shared.name(problems, given.service, where .. ".service", names.service, true),
      port = type(port) == "string" and { name = port } or { number = port },
    } },
  }
end

local function fill(manifest, given, problems)
  local rules, by_host = json.array {}, {}
  if problems:check(given.rules, "table", "rules", true) and #given.rules == 0 then
    problems:usage("rules", "expected a list of {host=, path=, service=, port=}")
  end
  for i, one in ipairs(type(given.rules) == "table" and given.rules or {}) do
    local host, path = read_rule(problems, one, ("rules[%d]"):format(i))
    if path then
      local rule = by_host[host or ""]
      if not rule then
        rule = { host = host, http = { paths = json.array {} } }
        by_host[host or ""], rules[#rules + 1] = rule, rule
      end
      rule.http.paths[#rule.http.paths + 1] = path
    end
  end
  manifest.spec = {
    ingressClassName = shared.name(problems, given.class, "class"),
    rules = rules,
    tls = shared.each(problems, given.tls, "tls", function(value, where)
      if problems:check(value, "table", where) then
        problems:check_keys(value, { "hosts", "secret" }, where)
        return { hosts = shared.words(problems, value.hosts, where .. ".hosts"),
          secretName = shared.name(problems, value.secret, where .. ".secret") }
      end
      return nil
    end),
  }
end

--- ctz.kubernetes.ingress(description) -> table
--- The manifest of an Ingress.
--- @param description.name string
--- @param description.rules table  {{host="a.example", path="/", path_type="Prefix", service="web", port=80}}
--- @param description.class? string
--- @param description.tls? table  {{hosts={"a.example"}, secret="name"}}
--- @param description.namespace? string  also labels, annotations
--- @return table  the manifest
--- @error usage  what is wrong, with the place of each problem
--- @example local manifest = ctz.kubernetes.ingress{name="web", rules={{host="a.example", service="web", port=80}}}
--- @example assert(manifest.spec.rules[1].http.paths[1].backend.service.port.number == 80)
--- Api: networking.k8s.io/v1, Ingress
local function ingress(description)
  return shared.build("kubernetes.ingress", description,
    { api_version = "networking.k8s.io/v1", kind = "Ingress", fields = { "rules", "class", "tls" } }, fill)
end

return { ingress = ingress }
