-- docker/simulate/networks.lua: the networks of a simulated engine, and who is connected to them.
-- SPDX-License-Identifier: MIT
local engines = require "ctz.docker.simulate.engine"
local json = require "ctz.json"

local ipairs, math, next, pairs = ipairs, math, next, pairs
local tonumber, type = tonumber, type
local sort = table.sort

local refuse = engines.refuse
local null <const> = json.null
local PREDEFINED <const> = { bridge = "bridge", host = "host", none = "null" }

local networks = {}

-- --- addresses ---------------------------------------------------------------------------------

local function parts_of(subnet)
  return subnet:match "^(%d+)%.(%d+)%.(%d+)%.%d+/(%d+)$"
end

local function is_used(engine, network, address)
  for _, container in pairs(engine.containers) do
    local endpoint = container.endpoints[network.name]
    if endpoint and endpoint.address == address then
      return true
    end
  end
  return false
end

-- The first free address behind the gateway, with the bits of its network.
local function free_address(engine, network)
  local a, b, c, bits = parts_of(network.subnet)
  for last = 2, 254 do
    local address = ("%s.%s.%s.%d"):format(a, b, c, last)
    if address ~= network.gateway and not is_used(engine, network, address) then
      return address, bits
    end
  end
  return refuse(403, "no available IPv4 addresses on this network's address pools: %s (%s)", network.name, network.id)
end

local function mac_of(address)
  local a, b, c, d = address:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  return ("02:42:%02x:%02x:%02x:%02x"):format(a, b, c, d)
end

-- First and last address of an IPv4 subnet, as numbers; nil: it is none.
local function range_of(subnet)
  local a, b, c, d, bits = subnet:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)/(%d+)$"
  if not a then
    return nil
  end
  local size = math.tointeger(2 ^ (32 - tonumber(bits)))
  local first = (((tonumber(a) * 256) + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d)
  first = first // size * size
  return first, first + size - 1
end

local function overlaps(engine, subnet)
  local first, last = range_of(subnet)
  for _, network in pairs(engine.networks) do
    for _, config in ipairs(network.ipam.Config) do
      local other, other_last = range_of(config.Subnet or "")
      if config.Subnet == subnet or first and other and first <= other_last and other <= last then
        return true
      end
    end
  end
  return false
end

local function free_subnet(engine)
  local used = {}
  for _, network in pairs(engine.networks) do
    used[network.subnet or ""] = true
  end
  for second = 17, 31 do
    local subnet = ("172.%d.0.0/16"):format(second)
    if not used[subnet] then
      return subnet
    end
  end
  return refuse(500, "could not find an available, non-overlapping IPv4 address pool among the defaults to assign" ..
    " to the network")
end

-- --- making ------------------------------------------------------------------------------------

local function add(engine, fields)
  local network = {
    id = engines.new_id(),
    created = engine.kernel.clock,
    labels = {},
    options = {},
    driver = "bridge",
    ipam = { Driver = "default", Options = null, Config = json.array {} },
  }
  for name, value in pairs(fields) do
    network[name] = value
  end
  engine.networks[network.id] = network
  return network
end

function networks.setup(engine)
  add(engine, { name = "host", driver = "host" })
  add(engine, { name = "none", driver = "null" })
  add(engine, {
    name = "bridge",
    subnet = "172.17.0.0/16",
    gateway = "172.17.0.1",
    ipam = { Driver = "default", Options = null, Config = { { Subnet = "172.17.0.0/16" } } },
    options = {
      ["com.docker.network.bridge.default_bridge"] = "true",
      ["com.docker.network.bridge.enable_icc"] = "true",
      ["com.docker.network.bridge.enable_ip_masquerade"] = "true",
      ["com.docker.network.bridge.host_binding_ipv4"] = "0.0.0.0",
      ["com.docker.network.bridge.name"] = "docker0",
      ["com.docker.network.driver.mtu"] = "1500",
    },
  })
end

-- By name or id; nil when there is none.
function networks.find(engine, name)
  for _, network in pairs(engine.networks) do
    if network.name == name then
      return network
    end
  end
  return engine.networks[name] or engines.by_prefix(engine.networks, name)
end

local function get(engine, name)
  return networks.find(engine, name) or refuse(404, "network %s not found", name)
end

-- --- what it tells -----------------------------------------------------------------------------

local function members(engine, network)
  local map = {}
  for id, container in pairs(engine.containers) do
    local endpoint = container.endpoints[network.name]
    if endpoint and endpoint.id then
      map[id] = {
        Name = container.name,
        EndpointID = endpoint.id,
        MacAddress = endpoint.mac or "",
        IPv4Address = endpoint.address and ("%s/%d"):format(endpoint.address, endpoint.bits) or "",
        IPv6Address = "",
      }
    end
  end
  return map
end

local function body_of(engine, network, inspected)
  return {
    Name = network.name,
    Id = network.id,
    Created = engines.stamp(network.created),
    Scope = "local",
    Driver = network.driver,
    EnableIPv6 = network.ipv6 or false,
    IPAM = network.ipam,
    Internal = network.internal or false,
    Attachable = network.attachable or false,
    Ingress = false,
    ConfigFrom = { Network = "" },
    ConfigOnly = false,
    Containers = json.object(inspected and members(engine, network) or {}),
    Options = json.object(network.options),
    Labels = json.object(network.labels),
  }
end

local function tell(engine, network, action, container)
  engine:tell("network", action, network.id, {
    container = container and container.id,
    name = network.name,
    type = network.driver,
  })
end

function networks.list(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters),
    " dangling driver id label name scope type ")
  local list = {}
  for _, network in pairs(engine.networks) do
    if engines.has_labels(network.labels, filters.label)
      and engines.any(filters.driver, function(value)
        return value == network.driver
      end)
      and engines.any(filters.id, function(value)
        return network.id:sub(1, #value) == value
      end)
      and engines.any(filters.name, function(value)
        return network.name:find(value, 1, true)
      end)
      and engines.any(filters.scope, function(value)
        return value == "local"
      end)
      and engines.any(filters.type, function(value)
        return (value == "builtin") == (PREDEFINED[network.name] ~= nil)
      end)
      and engines.any(filters.dangling, function(value)
        local dangles = not PREDEFINED[network.name] and next(members(engine, network)) == nil
        return (value == "true" or value == "1") == dangles
      end) then
      list[#list + 1] = body_of(engine, network)
    end
  end
  sort(list, function(left, right)
    return left.Name < right.Name
  end)
  return 200, json.array(list)
end

function networks.inspect(engine, _, name)
  return 200, body_of(engine, get(engine, name), true)
end

-- --- changing ----------------------------------------------------------------------------------

-- What is told of the subnets that were asked for, or of a free one; the first of IPv4 gives addresses.
local function subnets_of(engine, wanted)
  local result = { told = {} }
  for i = 1, math.max(1, #wanted) do
    local config = wanted[i] or {}
    local subnet = config.Subnet or free_subnet(engine)
    if overlaps(engine, subnet) then
      refuse(403, "Pool overlaps with other one on this address space")
    end
    local a, b, c = parts_of(subnet)
    local gateway = config.Gateway or a and ("%s.%s.%s.1"):format(a, b, c) or nil
    result.told[i] = {
      Subnet = subnet,
      Gateway = (config.Gateway or not config.Subnet) and gateway or nil,
      IPRange = config.IPRange,
      AuxiliaryAddresses = config.AuxiliaryAddresses,
    }
    if a and not result.subnet then
      result.subnet, result.gateway = subnet, gateway
    end
  end
  return result
end

function networks.create(engine, _, body)
  local driver = body.Driver or "bridge"
  if driver ~= "bridge" then
    engines.unsupported(("networks of the driver %s"):format(driver))
  elseif PREDEFINED[body.Name] then
    refuse(403, "operation is not permitted on predefined %s network ", body.Name)
  end
  local same = networks.find(engine, body.Name)
  if same and same.name == body.Name then
    refuse(409, "network with name %s already exists", body.Name)
  end
  local ipam = type(body.IPAM) == "table" and body.IPAM or {}
  local config = subnets_of(engine, type(ipam.Config) == "table" and ipam.Config or {})
  local network = add(engine, {
    name = body.Name,
    driver = driver,
    subnet = config.subnet,
    gateway = config.gateway,
    internal = body.Internal,
    attachable = body.Attachable,
    ipv6 = body.EnableIPv6,
    labels = body.Labels,
    options = body.Options,
    ipam = { Driver = ipam.Driver or "default", Options = ipam.Options or null, Config = config.told },
  })
  tell(engine, network, "create")
  return 201, { Id = network.id, Warning = "" }
end

local function delete(engine, network)
  engine.networks[network.id] = nil
  tell(engine, network, "destroy")
end

function networks.remove(engine, _, name)
  local network = get(engine, name)
  if PREDEFINED[network.name] then
    refuse(403, "%s is a pre-defined network and cannot be removed", network.name)
  elseif next(members(engine, network)) then
    refuse(403, "error while removing network: network %s id %s has active endpoints", network.name, network.id)
  end
  delete(engine, network)
  return 204
end

function networks.prune(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters), " label label! until ")
  local removed = {}
  for _, network in pairs(engine.networks) do
    local used = PREDEFINED[network.name]
    for _, container in pairs(engine.containers) do
      used = used or container.endpoints[network.name] and container.state.running
    end
    if not used and engines.has_labels(network.labels, filters.label) then
      delete(engine, network)
      removed[#removed + 1] = network.name
    end
  end
  engine:tell("network", "prune", "", { reclaimed = "0" })
  return 200, { NetworksDeleted = #removed > 0 and removed or null }
end

-- --- endpoints ---------------------------------------------------------------------------------

-- The endpoint of a container that was made or connected, not yet started.
function networks.endpoint(settings)
  settings = type(settings) == "table" and settings or {}
  return {
    aliases = type(settings.Aliases) == "table" and settings.Aliases or nil,
    ipam = type(settings.IPAMConfig) == "table" and settings.IPAMConfig or nil,
    links = type(settings.Links) == "table" and settings.Links or nil,
    driver_opts = type(settings.DriverOpts) == "table" and settings.DriverOpts or nil,
  }
end

-- Connects one endpoint of a container that runs.
function networks.attach(engine, container, name)
  local network = get(engine, name)
  local endpoint = container.endpoints[name]
  if network.name ~= name then -- it was named by its id
    container.endpoints[name], container.endpoints[network.name] = nil, endpoint
  end
  endpoint.network, endpoint.id = network, engines.new_id()
  if network.subnet then
    local wanted = endpoint.ipam and endpoint.ipam.IPv4Address
    if wanted and is_used(engine, network, wanted) then
      refuse(403, "Address already in use")
    end
    local free, bits = free_address(engine, network)
    endpoint.address, endpoint.bits, endpoint.gateway = wanted or free, math.tointeger(bits), network.gateway
    endpoint.mac = mac_of(endpoint.address)
  end
  tell(engine, network, "connect", container)
end

-- Takes the addresses back; the endpoint stays for the next start.
function networks.detach(engine, container, name)
  local endpoint = container.endpoints[name]
  if endpoint.network then
    tell(engine, endpoint.network, "disconnect", container)
  end
  endpoint.id, endpoint.address, endpoint.bits, endpoint.gateway, endpoint.mac = nil, nil, nil, nil, nil
end

function networks.endpoint_body(container, name)
  local endpoint = container.endpoints[name]
  local aliases
  if endpoint.network and not PREDEFINED[name] then
    aliases = {}
    for i, alias in ipairs(endpoint.aliases or {}) do
      aliases[i] = alias
    end
    aliases[#aliases + 1] = container.id:sub(1, 12)
  end
  return {
    IPAMConfig = endpoint.ipam or null,
    Links = endpoint.links or null,
    Aliases = aliases or endpoint.aliases or null,
    NetworkID = endpoint.network and endpoint.network.id or "",
    EndpointID = endpoint.id or "",
    Gateway = endpoint.gateway or "",
    IPAddress = endpoint.address or "",
    IPPrefixLen = endpoint.bits or 0,
    IPv6Gateway = "",
    GlobalIPv6Address = "",
    GlobalIPv6PrefixLen = 0,
    MacAddress = endpoint.mac or "",
    DriverOpts = endpoint.driver_opts or null,
  }
end

function networks.connect(engine, _, name, body)
  local network = get(engine, name)
  local container = engine:container(body.Container)
  local endpoint = container.endpoints[network.name]
  if endpoint and container.state.running then
    refuse(403, "endpoint with name %s already exists in network %s", container.name, network.name)
  end
  container.endpoints[network.name] = networks.endpoint(body.EndpointConfig)
  if container.state.running then
    networks.attach(engine, container, network.name)
  end
  return 200
end

function networks.disconnect(engine, _, name, body)
  local network = get(engine, name)
  local container = engine:container(body.Container)
  if not container.endpoints[network.name] then
    tell(engine, network, "disconnect", container) -- it does
    refuse(500, "container %s is not connected to network %s", container.id, network.name)
  end
  networks.detach(engine, container, network.name)
  container.endpoints[network.name] = nil
  return 200
end

return networks
