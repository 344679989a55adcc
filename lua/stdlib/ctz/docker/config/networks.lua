-- docker/config/networks.lua: the networks of a container.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/command/container/opts.go, parseNetworkOpts.
--
-- The engine connects one network when it creates a container, from API 1.44 all of them.
local json = require "ctz.json"
local read = require "ctz.docker.config.read"
local sorted_keys = require("ctz.problems").sorted_keys

local concat = table.concat
local ipairs, math_type, next, pairs, tostring, type = ipairs, math.type, next, pairs, tostring, type

local PREDEFINED <const> = { bridge = true, host = true, none = true, default = true, nat = true }
local EXPECTED <const> = 'names such as {"front", "back"}, or {front = {aliases = {"web"}, address = "10.0.0.5"}}'

local name <const> = read.like("the name of a network", "^[%w][%w_.-]*$", "^container:.")

local FIELDS <const> = {
  { "name", name },
  { "aliases", read.list(read.filled) },
  { "address", read.ip(read.is_ipv4, "an IPv4 address") },
  { "address6", read.ip(read.is_ipv6, "an IPv6 address") },
  { "mac_address", read.mac },
  { "link_local", read.list(read.ip(read.is_ip, "an IP address")) },
  { "links", read.list(read.filled) },
  { "driver_opts", read.map() },
  { "priority", read.integer(-2147483648, 2147483647) },
}
local read_record <const> = read.record(FIELDS, EXPECTED)

local function is_predefined(network)
  return PREDEFINED[network] or network:find "^container:" ~= nil
end

local function read_one(key, value, where, problems)
  if value == true then
    value = {}
  elseif type(value) ~= "table" then
    return read.refuse(problems, where, "a table such as {aliases = {\"web\"}}", value)
  end
  local network = read_record(value, where, problems)
  network.name = key or network.name
  if not network.name then
    return problems:usage(where, "it needs a name")
  end
  return name(network.name, where, problems) and network
end

-- What the engine gives to networks of users only.
local USER_ONLY <const> = { "aliases", "address", "address6", "link_local", "links" }

local function check_network(network, is_alone, where, problems)
  if not is_predefined(network.name) then
    return
  elseif not is_alone then
    problems:usage(where, '"%s" is no network beside others', network.name)
  end
  for _, field in ipairs(USER_ONLY) do
    if network[field] then
      problems:usage(where .. "." .. field, 'networks of users have it, "%s" does not', network.name)
    end
  end
end

-- Names come in their order, then name = {...} by name. The first is the one that create connects.
local function read_networks(value, where, problems)
  if type(value) == "string" then
    value = { value }
  elseif type(value) ~= "table" then
    return read.refuse(problems, where, EXPECTED, value)
  end
  local networks, places, seen = {}, {}, {}
  local function add(key, item, at)
    local network = read_one(key, item, at, problems)
    if network and seen[network.name] then
      problems:usage(at, '"%s" is given twice', network.name)
    elseif network then
      networks[#networks + 1], places[#networks + 1], seen[network.name] = network, at, true
    end
  end
  for i, item in ipairs(value) do
    local is_name = type(item) == "string"
    add(is_name and item or nil, is_name and {} or item, ("%s[%d]"):format(where, i))
  end
  for _, key in ipairs(sorted_keys(value)) do
    if type(key) == "string" then
      add(key, value[key], where .. "." .. key)
    elseif math_type(key) ~= "integer" or key < 1 or key > #value then
      problems:usage(where, "unexpected [%s]; %s", tostring(key), EXPECTED)
    end
  end
  for i, network in ipairs(networks) do
    check_network(network, #networks == 1, places[i], problems)
  end
  return networks
end

-- The fields of the whole container that are about its first network.
local function check(config, problems)
  local first = config.networks and config.networks[1]
  if first and config.network_mode and config.network_mode ~= first.name then
    problems:usage("network_mode", 'networks names "%s" already; give one of the two', first.name)
  end
  if first and first.mac_address and config.mac_address and first.mac_address ~= config.mac_address then
    problems:usage("mac_address", 'network "%s" has another', first.name)
  end
  if first and first.links and config.links then
    problems:usage("links", 'network "%s" has its own', first.name)
  end
end

-- --- for the API -------------------------------------------------------------------------------

local function settings_of(network, body, where)
  body.since("1.48", where, "priority", network.priority)
  local has_address = network.address or network.address6 or network.link_local
  return json.object {
    Aliases = read.copy(network.aliases),
    Links = read.copy(network.links),
    DriverOpts = read.copy(network.driver_opts),
    MacAddress = network.mac_address,
    GwPriority = network.priority,
    IPAMConfig = has_address and {
      IPv4Address = network.address,
      IPv6Address = network.address6,
      LinkLocalIPs = read.copy(network.link_local),
    } or nil,
  }
end

-- The first network with what the container's own fields say of it. "default" when none is named.
local function first_of(config)
  local named = config.networks and config.networks[1]
  local first = { name = config.network_mode or "default" }
  for key, value in pairs(named or {}) do
    first[key] = value
  end
  first.mac_address = first.mac_address or config.mac_address
  if not is_predefined(first.name) then
    first.links = first.links or config.links
  end
  return first
end

local function to_api(config, body)
  local first, networks = first_of(config), config.networks or {}
  body.HostConfig.NetworkMode = (networks[1] or config.network_mode) and first.name
  body.HostConfig.Links = read.copy(config.links)
  if not body.at_least "1.44" then
    body.Config.MacAddress = first.mac_address
    first.mac_address = nil
  end
  local endpoints = json.object {}
  local settings = settings_of(first, body, "networks." .. first.name)
  if #networks > 1 or next(settings) ~= nil then
    endpoints[first.name] = settings
  end
  if body.at_least "1.44" then
    for i = 2, #networks do
      endpoints[networks[i].name] = settings_of(networks[i], body, "networks." .. networks[i].name)
    end
  end
  body.NetworkingConfig = next(endpoints) ~= nil and { EndpointsConfig = endpoints } or nil
end

-- What to_api left out: {{name=, settings=}, ...}
local function after(config, body)
  local result = {}
  if not body.at_least "1.44" then
    for i = 2, #(config.networks or {}) do
      local network = config.networks[i]
      body.since("1.44", "networks." .. network.name, "mac_address", network.mac_address)
      result[#result + 1] = { name = network.name, settings = settings_of(network, body, "networks." .. network.name) }
    end
  end
  return result
end

-- --- for docker run ----------------------------------------------------------------------------

-- "name=front,alias=web,ip=10.0.0.5"
local function long_text(network)
  local fields = { "name=" .. network.name }
  local function add(key, value)
    if value then
      fields[#fields + 1] = read.csv(("%s=%s"):format(key, value))
    end
  end
  for _, alias in ipairs(network.aliases or {}) do
    add("alias", alias)
  end
  add("ip", network.address)
  add("ip6", network.address6)
  add("mac-address", network.mac_address)
  for _, address in ipairs(network.link_local or {}) do
    add("link-local-ip", address)
  end
  for key, value in read.sorted_pairs(network.driver_opts or {}) do
    add("driver-opt", key .. "=" .. value)
  end
  add("gw-priority", network.priority)
  return #fields == 1 and network.name or concat(fields, ",")
end

-- The flags that every docker knows, where they are enough.
local function put_first(first, put)
  if first.driver_opts or first.priority then
    put("--network", long_text(first))
  else
    if first.name ~= "default" then
      put("--network", first.name)
    end
    put.each("--network-alias", first.aliases)
    put.some("--ip", first.address)
    put.some("--ip6", first.address6)
    put.some("--mac-address", first.mac_address)
    put.each("--link-local-ip", first.link_local)
  end
end

local function to_args(config, put)
  local first = first_of(config)
  put_first(first, put)
  put.each("--link", first.links or config.links)
  for i = 2, #(config.networks or {}) do
    local network = config.networks[i]
    put("--network", long_text(network))
    if network.links then
      put.note(("networks.%s.links: docker run takes links of the first network only"):format(network.name))
    end
  end
end

return {
  fields = {
    { name = "networks", read = read_networks, check = check },
    {
      name = "network_mode",
      read = read.like('"bridge", "host", "none", "container:NAME" or the name of a network',
        "^[%w][%w_.-]*$", "^container:."),
    },
    { name = "mac_address", read = read.mac },
    { name = "links", read = read.list(read.like('"container" or "container:alias"', "^[^:]+$", "^[^:]+:[^:]+$")) },
  },
  to_api = to_api,
  to_args = to_args,
  after = after,
}
