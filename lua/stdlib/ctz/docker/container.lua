-- docker/container.lua: the object that stands for a container.
-- SPDX-License-Identifier: MIT
local marked = require "ctz.docker.marked"
local table_of = require("ctz.docker.values").table_of
local units = require "ctz.units"

local getmetatable, ipairs, next, pairs = getmetatable, ipairs, next, pairs
local rawget, rawset, require, setmetatable = rawget, rawset, require, setmetatable
local sort, tonumber = table.sort, tonumber

-- --- methods -----------------------------------------------------------------------------------

-- container:stop(opts) is containers.stop(container, opts).
local METHODS <const> = {}
for name in
  ([[
  attach commit copy_in copy_out diff exec export inspect kill logs metrics pause remove rename restart start stats
  stop top unpause update wait wait_until
]]):gmatch "%S+"
do
  METHODS[name] = function(self, ...)
    return marked(self.client, require("ctz.docker.containers")[name], self, ...)
  end
end

--- container:refresh() -> container
--- Asks the engine again and updates the fields of the object.
--- @async
--- @error not_found it has been removed
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.get, "web")
--- @example assert(err:is "unreachable")
function METHODS:refresh()
  local fresh = require("ctz.docker.containers").get(self.client, self)
  for name, value in pairs(fresh) do
    self[name] = value
  end
  return self
end

-- --- what the engine says of one ------------------------------------------------------------------

local function by_port(left, right)
  if left.container_port ~= right.container_port then
    return left.container_port < right.container_port
  elseif left.protocol ~= right.protocol then
    return left.protocol < right.protocol
  elseif left.host_port ~= right.host_port then
    return (left.host_port or 0) < (right.host_port or 0)
  end
  return (left.host_ip or "") < (right.host_ip or "")
end

local function ports_of_list(raw)
  local ports = {}
  for _, port in ipairs(table_of(raw)) do
    ports[#ports + 1] = {
      container_port = port.PrivatePort,
      protocol = port.Type,
      host_ip = port.IP,
      host_port = port.PublicPort,
    }
  end
  sort(ports, by_port)
  return ports
end

-- {["80/tcp"] = {{HostIp=, HostPort=}} | null}
local function ports_of_inspect(raw)
  local ports = {}
  for name, bindings in pairs(table_of(raw)) do
    local port, protocol = name:match "^(%d+)/(%a+)$"
    for _, binding in ipairs(#table_of(bindings) > 0 and bindings or { {} }) do
      ports[#ports + 1] = {
        container_port = tonumber(port),
        protocol = protocol,
        host_ip = binding.HostIp,
        host_port = tonumber(binding.HostPort),
      }
    end
  end
  sort(ports, by_port)
  return ports
end

-- behind: what pairs and ctz.inspect do not show, beside the methods: the client, and tty where it is known.
local function object(fields, behind)
  fields.is_running = fields.status == "running"
  return setmetatable(fields, {
    __name = "ctz.docker.container",
    __index = function(_, name)
      return METHODS[name] or behind[name]
    end,
  })
end

-- --- one that was just made ---------------------------------------------------------------------

-- What the answer to create does not tell. The name is among them when the engine chose it.
local ASKED_FOR <const> = { name = true, created = true, labels = true, raw = true }

-- Fields that are there are left as they are: the container may run by now.
local function ask(self, client)
  local meta = getmetatable(self)
  meta.__index, meta.__pairs = meta.known, nil
  for name, value in pairs(require("ctz.docker.containers").get(client, self.id)) do
    if self[name] == nil then
      rawset(self, name, value)
    end
  end
end

-- The engine is asked when one of those is looked at, which most recipes never do.
local function asks_late(self, client)
  local meta = getmetatable(self)
  meta.known = meta.__index
  function meta.__index(_, name)
    if ASKED_FOR[name] then
      ask(self, client)
      return self[name]
    end
    return meta.known(self, name)
  end
  function meta.__pairs()
    ask(self, client)
    return next, self
  end
  return self
end

local container = {}

-- What create made of the configuration.
function container.created(client, id, config, warnings)
  return asks_late(object({
    id = id,
    name = config.name,
    image = config.image,
    status = "created",
    ports = {},
    warnings = warnings,
  }, { client = client, tty = config.tty or false }), client)
end

-- The text for errors; the engine is not asked for it.
function container.shown(self)
  return "container " .. (rawget(self, "name") or self.id:sub(1, 12))
end

-- An entry of the list.
function container.list(client, raw)
  return object({
    id = raw.Id,
    name = (raw.Names[1] or ""):gsub("^/", ""),
    image = raw.Image,
    status = raw.State,
    ports = ports_of_list(raw.Ports),
    created = raw.Created,
    labels = table_of(raw.Labels),
    raw = raw,
  }, { client = client })
end

-- The answer of inspect.
function container.inspect(client, raw)
  return object({
    id = raw.Id,
    name = raw.Name:gsub("^/", ""),
    image = raw.Config.Image,
    status = raw.State.Status,
    ports = ports_of_inspect(raw.NetworkSettings.Ports),
    created = units.unix_time(raw.Created),
    labels = table_of(raw.Config.Labels),
    raw = raw,
  }, { client = client, tty = raw.Config.Tty })
end

-- What a dry run gives in the place of a container that would be made.
function container.planned(client, config)
  return object({
    id = config.name or "planned",
    name = config.name,
    image = config.image,
    status = "created",
    ports = {},
    labels = config.labels or {},
    planned = true,
  }, { client = client })
end

return container
