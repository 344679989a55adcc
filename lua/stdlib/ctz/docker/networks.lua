-- docker/networks.lua: the networks of an engine.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, /networks.
local check = require("ctz.options").check
local labels = require "ctz.docker.labels"
local object = require "ctz.docker.object"
local sheltered = require "ctz.docker.sheltered"
local table_of = require("ctz.docker.values").table_of
local units = require "ctz.units"

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local sort = table.sort

local networks = {}

-- --- what the engine says of one ------------------------------------------------------------------

local function ipam_of(raw)
  local ipam = table_of(raw)
  return {
    driver = ipam.Driver,
    options = table_of(ipam.Options),
    config = object.list_of(ipam.Config, function(config)
      return {
        subnet = config.Subnet,
        ip_range = config.IPRange,
        gateway = config.Gateway,
        aux_addresses = table_of(config.AuxiliaryAddresses),
      }
    end),
  }
end

local function address_of(text)
  return text and text:match "^[^/]+"
end

local function containers_of(raw)
  local list = {}
  for id, endpoint in pairs(table_of(raw)) do
    list[#list + 1] = {
      id = id,
      name = endpoint.Name,
      address = address_of(endpoint.IPv4Address),
      address6 = address_of(endpoint.IPv6Address),
      mac_address = endpoint.MacAddress,
    }
  end
  sort(list, object.by_name)
  return list
end

local make <const> = object.class("ctz.docker.network", networks, "connect disconnect inspect remove")

-- The list of containers is part of what inspect tells only.
local function network_of(client, raw, inspected)
  return make(client, {
    id = raw.Id,
    name = raw.Name,
    driver = raw.Driver,
    scope = raw.Scope,
    created = units.unix_time(raw.Created),
    internal = raw.Internal,
    attachable = raw.Attachable,
    ingress = raw.Ingress,
    ipv6 = raw.EnableIPv6,
    ipam = ipam_of(raw.IPAM),
    options = table_of(raw.Options),
    labels = table_of(raw.Labels),
    containers = inspected and containers_of(raw.Containers) or nil,
    raw = raw,
  })
end

-- Asks about one network, with a hint when there is none.
local function call(client, method, path, opts)
  opts.shows = "docker.networks.list()"
  function opts.names()
    local names = {}
    for i, raw in ipairs(client:call("GET", "/networks", { op = opts.op })) do
      names[i] = raw.Name
    end
    return names
  end
  opts.name = opts.target:match "%S+$"
  return object.call(client, method, path, opts)
end

-- --- looking -----------------------------------------------------------------------------------

--- ctz.docker.networks.list(opts?) -> table
--- The networks by name: a list of network objects {id, name, driver, scope, created, internal,
--- attachable, ingress, ipv6, ipam, options, labels, raw}. created is in seconds since 1970; ipam is
--- {driver=, options=, config={{subnet=, ip_range=, gateway=, aux_addresses=}}}; raw is the engine's own
--- answer. Their methods are connect, disconnect, inspect and remove.
--- @async
--- @param opts.filters? table  {name = value or list}: dangling, driver, id, label, name, scope, type
--- @param opts.timeout? ctz.seconds
--- @return ctz.docker.network[]
--- @error usage there is no such filter
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.networks.list)
--- @example assert(err:is "unreachable" and err:is "network")
--- Api: Docker Engine v1.41, GET /networks
function networks.list(client, opts)
  local op <const> = "docker.networks.list"
  opts = check(op, opts, { filters = "table", timeout = "seconds" })
  local raw = client:call("GET", "/networks", {
    op = op,
    timeout = opts.timeout,
    query = { filters = object.filters(op, opts.filters, "dangling driver id label name scope type") },
  })
  local list = object.list_of(raw, function(one)
    return network_of(client, one)
  end)
  sort(list, object.by_name)
  return list
end

--- ctz.docker.networks.get(network) -> ctz.docker.network
--- The object of a network. Beside the fields of ctz.docker.networks.list it has containers, those that
--- are connected and run: a list of {id=, name=, address=, address6=, mac_address=}.
--- @async
--- @param network string|ctz.docker.network  name, id or object
--- @error not_found there is no such network; the hint names the nearest
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.networks.get, "front")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /networks/{id}
function networks.get(client, network)
  local op <const> = "docker.networks.get"
  local id, target = object.subject(op, "network", network)
  return network_of(client, (call(client, "GET", "/networks/" .. id, { op = op, target = target })), true)
end

--- ctz.docker.networks.find(network) -> ctz.docker.network|nil
--- The object of a network as of ctz.docker.networks.get, nil when there is none.
--- @async
--- @param network string|ctz.docker.network  name, id or object
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.networks.find, "front")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /networks/{id}
function networks.find(client, network)
  local op <const> = "docker.networks.find"
  local id, target = object.subject(op, "network", network)
  local raw, status = client:call("GET", "/networks/" .. id, { op = op, target = target, ok = { [404] = true } })
  return status ~= 404 and network_of(client, raw, true) or nil
end

--- ctz.docker.networks.inspect(network, opts?) -> table
--- All that the engine says of a network, as it says it.
--- @async
--- @param network string|ctz.docker.network  name, id or object
--- @param opts.verbose? boolean  also the services and tasks of a swarm
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such network; the hint names the nearest
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.networks.inspect, "front")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /networks/{id}
function networks.inspect(client, network, opts)
  local op <const> = "docker.networks.inspect"
  opts = check(op, opts, { verbose = "boolean", timeout = "seconds" })
  local id, target = object.subject(op, "network", network)
  return (call(client, "GET", "/networks/" .. id, {
    op = op,
    target = target,
    timeout = opts.timeout,
    query = { verbose = opts.verbose },
  }))
end

-- --- making ------------------------------------------------------------------------------------

local CREATE <const> = {
  attachable = "boolean",
  config_from = "string",
  config_only = "boolean",
  driver = "string",
  ingress = "boolean",
  internal = "boolean",
  ipam = "table",
  ipv4 = "boolean",
  ipv6 = "boolean",
  labels = "table",
  options = "table",
  scope = "string",
  timeout = "seconds",
}

local SUBNET <const> = { subnet = "string", ip_range = "string", gateway = "string", aux_addresses = "table" }
local IPAM <const> = { driver = "string", options = "table", config = "list" }
for name, rule in pairs(SUBNET) do
  IPAM[name] = rule
end

local function subnet_body(config)
  return {
    Subnet = config.subnet,
    IPRange = config.ip_range,
    Gateway = config.gateway,
    AuxiliaryAddresses = object.map_of(config.aux_addresses),
  }
end

-- {subnet=...}, {config={{subnet=...}}} or {{subnet=...}}
local function ipam_body(op, ipam)
  if not ipam then
    return nil
  end
  op = op .. " (ipam)"
  local configs = ipam
  if #ipam == 0 then
    check(op, ipam, IPAM)
    configs = ipam.config or { { subnet = ipam.subnet, ip_range = ipam.ip_range, gateway = ipam.gateway,
      aux_addresses = ipam.aux_addresses } }
  end
  local list = {}
  for _, config in ipairs(configs) do
    list[#list + 1] = next(check(op, config, SUBNET)) and subnet_body(config) or nil
  end
  return { Driver = ipam.driver, Options = object.map_of(ipam.options), Config = #list > 0 and list or nil }
end

--- ctz.docker.networks.create(name, opts?) -> ctz.docker.network
--- Makes a network. In a dry run the object has planned=true, and its name as id.
--- @async
--- @param name string
--- @param opts.driver? string  default "bridge"
--- @param opts.ipam? table  {subnet="10.1.0.0/16", ip_range=, gateway=, aux_addresses={name = address}}, a list
---   of such tables, or {driver=, options=, config={list of such tables}}
--- @param opts.options? table  {name = value} of the driver
--- @param opts.labels? table  {name = value} or {"name=value"}
--- @param opts.internal? boolean  no way out of it
--- @param opts.attachable? boolean  in a swarm: containers may be connected by hand
--- @param opts.ingress? boolean  the routing mesh of a swarm
--- @param opts.ipv4? boolean  default true; false needs API 1.48
--- @param opts.ipv6? boolean
--- @param opts.scope? string  "swarm" or "local"
--- @param opts.config_only? boolean  a template for others
--- @param opts.config_from? string  the template
--- @param opts.timeout? ctz.seconds
--- @error conflict there is a network of that name, or its addresses are another one's
--- @error not_found there is no such driver
--- @error unsupported the engine is too old for an option
--- @example local _, err = ctz.try(ctz.docker.networks.create, "../x")
--- @example assert(err.kind == "usage" and err.message:find "is no name")
--- Api: Docker Engine v1.41, POST /networks/create
function networks.create(client, name, opts)
  local op <const> = "docker.networks.create"
  object.check_name(op, "name", name)
  opts = check(op, opts, CREATE)
  local body = {
    Name = name,
    Driver = opts.driver,
    Internal = opts.internal,
    Attachable = opts.attachable,
    Ingress = opts.ingress,
    EnableIPv4 = opts.ipv4,
    EnableIPv6 = opts.ipv6,
    IPAM = ipam_body(op, opts.ipam),
    Options = object.map_of(opts.options),
    ConfigOnly = opts.config_only,
    ConfigFrom = opts.config_from and { Network = opts.config_from } or nil,
    Scope = opts.scope,
  }
  if client:plans("create network %s", name) then
    return make(client, {
      id = name,
      name = name,
      driver = opts.driver or "bridge",
      labels = object.map_of(opts.labels) or {},
      containers = {},
      planned = true,
    })
  elseif opts.ipv4 ~= nil then
    object.needs(client, "1.48", "ipv4", op)
  end
  body.Labels = labels.merge("network", object.map_of(opts.labels))
  body.CheckDuplicate = not client:at_least("1.44", op) or nil -- later ones always do
  -- Either the caller gets it, also when it is cancelled meanwhile, or there is none.
  return sheltered(function()
    local answer = client:call("POST", "/networks/create", {
      op = op,
      target = "network " .. name,
      timeout = opts.timeout,
      json = body,
    })
    object.warn(answer.Warning)
    local ok, network = pcall(networks.get, client, answer.Id)
    if not ok then
      pcall(client.call, client, "DELETE", "/networks/" .. answer.Id, {})
      error(network, 0)
    end
    return network
  end)
end

-- --- changing ----------------------------------------------------------------------------------

local CONNECT <const> = {
  address = "string",
  address6 = "string",
  aliases = "list",
  driver_opts = "table",
  link_local = "list",
  links = "list",
  mac_address = "string",
  priority = "integer",
  timeout = "seconds",
}

local function endpoint_body(opts)
  local ipam = { IPv4Address = opts.address, IPv6Address = opts.address6, LinkLocalIPs = opts.link_local }
  return {
    IPAMConfig = next(ipam) and ipam or nil,
    Aliases = opts.aliases,
    Links = opts.links,
    MacAddress = opts.mac_address,
    DriverOpts = object.map_of(opts.driver_opts),
    GwPriority = opts.priority,
  }
end

--- ctz.docker.networks.connect(network, container, opts?) -> true
--- Connects a container, running or not, to a network.
--- @async
--- @param network string|ctz.docker.network  name, id or object
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.aliases? string[]  more names that it has there
--- @param opts.address? string  its IPv4 address there
--- @param opts.address6? string  its IPv6 address there
--- @param opts.link_local? string[]  more addresses
--- @param opts.links? string[]  "container:alias"
--- @param opts.mac_address? string  needs API 1.44
--- @param opts.driver_opts? table  {name = value}
--- @param opts.priority? integer  the highest is where its way out is; needs API 1.48
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such network or container
--- @error conflict it is connected already, or the address is taken
--- @example local _, err = ctz.try(ctz.docker.networks.connect, "front", "web", {adress="10.0.0.5"})
--- @example assert(err.message:find "did you mean 'address'")
--- Api: Docker Engine v1.41, POST /networks/{id}/connect
function networks.connect(client, network, container, opts)
  local op <const> = "docker.networks.connect"
  local id, target = object.subject(op, "network", network)
  local container_id, shown = object.subject(op, "container", container)
  opts = check(op, opts, CONNECT)
  if client:plans("connect %s to %s", shown, target) then
    return true
  end
  for name, version in pairs { mac_address = "1.44", priority = "1.48" } do
    if opts[name] ~= nil then
      object.needs(client, version, name, op)
    end
  end
  call(client, "POST", "/networks/" .. id .. "/connect", {
    op = op,
    target = target,
    timeout = opts.timeout,
    json = { Container = container_id, EndpointConfig = endpoint_body(opts) },
  })
  return true
end

--- ctz.docker.networks.disconnect(network, container, opts?) -> true
--- Takes a container off a network.
--- @async
--- @param network string|ctz.docker.network  name, id or object
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.force? boolean  also one that is gone already
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such network or container, or they are not connected
--- @example local _, err = ctz.try(ctz.docker.networks.disconnect, "front", "web", {forced=true})
--- @example assert(err.kind == "usage")
--- Api: Docker Engine v1.41, POST /networks/{id}/disconnect
function networks.disconnect(client, network, container, opts)
  local op <const> = "docker.networks.disconnect"
  local id, target = object.subject(op, "network", network)
  local container_id, shown = object.subject(op, "container", container)
  opts = check(op, opts, { force = "boolean", timeout = "seconds" })
  if not client:plans("disconnect %s from %s", shown, target) then
    call(client, "POST", "/networks/" .. id .. "/disconnect", {
      op = op,
      target = target,
      timeout = opts.timeout,
      json = { Container = container_id, Force = opts.force },
    })
  end
  return true
end

--- ctz.docker.networks.remove(network, opts?) -> true
--- Removes a network that no container is connected to.
--- @async
--- @param network string|ctz.docker.network  name, id or object
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such network; the hint names the nearest
--- @error conflict containers are connected to it
--- @error denied it is one of the engine's own: bridge, host, none
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.networks.remove, "front")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, DELETE /networks/{id}
function networks.remove(client, network, opts)
  local op <const> = "docker.networks.remove"
  local id, target = object.subject(op, "network", network)
  opts = check(op, opts, { timeout = "seconds" })
  if not client:plans("remove %s", target) then
    call(client, "DELETE", "/networks/" .. id, { op = op, target = target, timeout = opts.timeout })
  end
  return true
end

--- ctz.docker.networks.prune(opts?) -> table
--- Removes all networks that no container is connected to, but those of the engine: {removed = {names}}.
--- In a dry run the list is empty.
--- @async
--- @param opts.filters? table  {name = value or list}: label, label!, until
--- @param opts.timeout? ctz.seconds
--- @return {removed: string[]}
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.networks.prune)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, POST /networks/prune
function networks.prune(client, opts)
  local op <const> = "docker.networks.prune"
  opts = check(op, opts, { filters = "table", timeout = "seconds" })
  local query = { filters = object.filters(op, opts.filters, "label label! until") }
  if client:plans "remove all networks that no container is connected to" then
    return { removed = {} }
  end
  local raw = client:call("POST", "/networks/prune", { op = op, timeout = opts.timeout, query = query })
  return { removed = table_of(raw and raw.NetworksDeleted) }
end

return networks
