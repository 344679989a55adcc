-- json.lua: decode and encode a list of objects, as `docker ps` and `kubectl get -o json` give them.
-- Usage: ctz run bench/json.lua FILE                    once in and out; prints the size of what it wrote
--        ctz run bench/json.lua make FILE [BYTES]       writes such a list (default 8 MB)
--        ctz run bench/json.lua rounds FILE [ROUNDS]    one line of JSON: best seconds and peak memory
-- SPDX-License-Identifier: MIT
local json = require("ctz").json

-- The same numbers on every machine.
local state = 1
local function random(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return state >> 8, (state >> 8) % n
end

local function id(n)
  local words = {}
  for i = 1, n // 6 + 1 do
    words[i] = ("%06x"):format((random(1)))
  end
  return table.concat(words):sub(1, n)
end

local function container(i)
  local _, port = random(40000)
  return {
    Id = id(64),
    Names = { "/web-" .. i, "/proxy/web-" .. i },
    Image = "registry.example.com/team/web:1." .. i,
    ImageID = "sha256:" .. id(64),
    Command = "/docker-entrypoint.sh nginx -g \"daemon off;\"",
    Created = 1700000000 + i * 61,
    Ports = {
      { IP = "0.0.0.0", PrivatePort = 80, PublicPort = port, Type = "tcp" },
      { IP = "::", PrivatePort = 80, PublicPort = port, Type = "tcp" },
    },
    SizeRw = random(1) * 4099,
    Labels = {
      ["com.docker.compose.project"] = "shop",
      ["com.docker.compose.service"] = "web",
      ["org.opencontainers.image.title"] = "Caf\u{e9} \u{2615} web " .. i,
      maintainer = "NGINX Docker Maintainers <docker-maint@nginx.com>",
    },
    State = "running",
    Status = "Up " .. i .. " minutes",
    HostConfig = { NetworkMode = "bridge", Annotations = json.null },
    NetworkSettings = {
      Networks = {
        bridge = {
          IPAMConfig = json.null, Links = json.null, Aliases = json.array(), MacAddress = "02:42:ac:11:00:02",
          NetworkID = id(64), EndpointID = id(64), Gateway = "172.17.0.1", IPAddress = "172.17.0.2",
          IPPrefixLen = 16, IPv6Gateway = "", GlobalIPv6Address = "", GlobalIPv6PrefixLen = 0, DNSNames = json.null,
        },
      },
    },
    Mounts = { { Type = "bind", Source = "/srv/web", Destination = "/usr/share/nginx/html", Mode = "", RW = true } },
    CpuPercent = i / 7,
  }
end

local function make(path, bytes)
  local file = assert(io.open(path, "wb"))
  local size, i = 1, 0
  file:write("[")
  while size < bytes do
    i = i + 1
    local text = (i > 1 and "," or "") .. json.encode(container(i))
    size = size + #text
    assert(file:write(text))
  end
  file:write("]")
  file:close()
end

local function peak_bytes()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmHWM:%s*(%d+)")
    if kib then
      return kib * 1024
    end
  end
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function rounds(path, count)
  local text = read(path)
  local best_decode, best_encode = math.huge, math.huge
  for _ = 1, count do
    collectgarbage()
    local start = os.clock()
    local value = json.decode(text)
    local middle = os.clock()
    local written = json.encode(value)
    local stop = os.clock()
    best_decode, best_encode = math.min(best_decode, middle - start), math.min(best_encode, stop - middle)
    assert(#written == #text, "the list came back changed")
  end
  print(json.encode {
    decode_seconds = best_decode, encode_seconds = best_encode, text_bytes = #text, peak_bytes = peak_bytes(),
  })
end

local command, path, number = ...
if command == "make" then
  make(path, tonumber(number) or 8000000)
elseif command == "rounds" then
  rounds(path, tonumber(number) or 5)
else
  print(#json.encode(json.decode(read(command))))
end
