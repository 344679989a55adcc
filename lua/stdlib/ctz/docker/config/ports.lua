-- docker/config/ports.lua: published and exposed ports.
-- SPDX-License-Identifier: MIT
-- Source: github.com/docker/go-connections, nat/nat.go.
local json = require "ctz.json"
local read = require "ctz.docker.config.read"

local ipairs, tointeger, tonumber, type = ipairs, math.tointeger, tonumber, type

local LAST_PORT <const> = 65535
local EXPECTED <const> = 'a port such as 80, "8080:80", "127.0.0.1:8080:80/udp", "8000-8010:8000-8010" or '
  .. "{target=80, published=8080}"
local PROTOCOLS <const> = { tcp = true, udp = true, sctp = true }

-- "80" or "8000-8010" -> first, last; nil when it is none.
local function range_of(text)
  local first, last = text:match "^(%d+)%-(%d+)$"
  first, last = tonumber(first or text:match "^%d+$"), tonumber(last or text:match "^%d+$")
  if not first or first < 1 or last > LAST_PORT or first > last then
    return nil
  end
  return tointeger(first), tointeger(last)
end

-- "127.0.0.1:8080:80" -> "127.0.0.1", "8080", "80"; what is not there is nil.
local function split(text)
  local ip, rest = text:match "^%[([^%]]*)%]:(.*)$"
  if not ip then
    ip, rest = text:match "^(.*):([^:]*:[^:]*)$"
  end
  local published, target = (rest or text):match "^([^:]*):([^:]*)$"
  return ip, published ~= "" and published or nil, target or text
end

-- Adds the ports of one range to result.
local function add_ports(result, parts, where, problems)
  local first, last = range_of(parts.target)
  local host_first, host_last = range_of(parts.published or "1")
  if not first then
    return problems:usage(where, 'no port of the container: "%s"', parts.target)
  elseif not host_first then
    return problems:usage(where, 'no port of the host: "%s"', parts.published)
  elseif parts.published and last ~= first and last - first ~= host_last - host_first then
    return problems:usage(where, "%s are not as many ports as %s", parts.published, parts.target)
  end
  local is_choice = parts.published and first == last and host_first ~= host_last -- the engine takes a free one
  for port = first, last do
    result[#result + 1] = {
      target = port,
      published = is_choice and parts.published or parts.published and host_first + port - first or nil,
      host_ip = parts.host_ip,
      protocol = parts.protocol,
    }
  end
end

local function read_short(result, text, where, problems)
  local rest, protocol = text:match "^(.*)/(%a+)$"
  protocol = (protocol or "tcp"):lower()
  local ip, published, target = split(rest or text)
  if not PROTOCOLS[protocol] then
    return problems:usage(where, 'no protocol is called "%s"; it is tcp, udp or sctp', protocol)
  elseif ip and ip ~= "" and not read.is_ip(ip) then
    return problems:usage(where, '"%s" is no IP address; %s', ip, EXPECTED)
  elseif target == "" then
    return read.refuse(problems, where, EXPECTED, text)
  end
  add_ports(result, {
    target = target, published = published, host_ip = ip ~= "" and ip or nil, protocol = protocol,
  }, where, problems)
end

local function port_or_range(value, where, problems)
  value = read.text_of(value)
  if type(value) ~= "string" or not range_of(value) then
    return read.refuse(problems, where, "a port or a range of ports", value)
  end
  return value
end

local read_long <const> = read.record({
  { "target", port_or_range },
  { "published", port_or_range },
  { "host_ip", read.ip(read.is_ip, "an IP address") },
  { "protocol", read.choice("tcp", "udp", "sctp") },
}, EXPECTED, "target")

-- -> list of {target=, published=, host_ip=, protocol=}; published is a number, "8000-8010" or nil.
local function read_ports(value, where, problems)
  local result = {}
  read.list(function(item, at)
    item = read.text_of(item)
    if type(item) == "string" then
      read_short(result, item, at, problems)
    else
      local long = read_long(item, at, problems)
      if long and long.target then
        long.protocol = long.protocol or "tcp"
        add_ports(result, long, at, problems)
      end
    end
  end)(value, where, problems)
  return result
end

-- -> list of "80/tcp"
local function read_expose(value, where, problems)
  local result = {}
  read.list(function(item, at)
    item = read.text_of(item)
    local range, protocol = (type(item) == "string" and item or ""):match "^([%d-]+)/?(%a*)$"
    protocol = protocol == "" and "tcp" or protocol and protocol:lower()
    local first, last = range_of(range or "")
    if not first or not PROTOCOLS[protocol] then
      return read.refuse(problems, at, 'a port such as 80, "53/udp" or "3000-3010"', item)
    end
    for port = first, last do
      result[#result + 1] = ("%d/%s"):format(port, protocol)
    end
  end)(value, where, problems)
  return result
end

local function ports_to_api(ports, body)
  local bindings = json.object {}
  body.Config.ExposedPorts = body.Config.ExposedPorts or json.object {}
  for _, port in ipairs(ports) do
    local key = ("%d/%s"):format(port.target, port.protocol)
    body.Config.ExposedPorts[key] = json.object {}
    bindings[key] = bindings[key] or json.array {}
    bindings[key][#bindings[key] + 1] = {
      HostIp = port.host_ip or "",
      HostPort = port.published and ("%s"):format(port.published) or "",
    }
  end
  body.HostConfig.PortBindings = bindings
end

local function ports_to_args(ports, put)
  for _, port in ipairs(ports) do
    local ip = port.host_ip and (read.is_ipv6(port.host_ip) and "[" .. port.host_ip .. "]" or port.host_ip)
    local published = port.published and ("%s"):format(port.published)
    local lead = ip and ip .. ":" .. (published or "") .. ":" or published and published .. ":" or ""
    put("--publish", ("%s%d%s"):format(lead, port.target, port.protocol == "tcp" and "" or "/" .. port.protocol))
  end
end

local function expose_to_api(expose, body)
  body.Config.ExposedPorts = body.Config.ExposedPorts or json.object {}
  for _, key in ipairs(expose) do
    body.Config.ExposedPorts[key] = json.object {}
  end
end

local function expose_to_args(expose, put)
  for _, key in ipairs(expose) do
    put("--expose", key)
  end
end

return {
  { name = "ports", read = read_ports, api = ports_to_api, args = ports_to_args },
  { name = "expose", read = read_expose, api = expose_to_api, args = expose_to_args },
}
