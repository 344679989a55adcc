-- http_faults.lua: starts tests/testbed/http_faults.py for a spec, and makes certificates for it.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local faults = {}

local MAKE_CERTIFICATES <const> = [[
set -e
cd '%s'
exec 2>openssl.log
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj "/CN=test authority"
leaf() { # name days bits subjectAltName
  openssl req -newkey rsa:$3 -nodes -keyout $1.key -out $1.csr -subj "/CN=$1"
  printf 'subjectAltName=%%s' "$4" > $1.ext
  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $1.crt -days $2 -extfile $1.ext
  cat $1.key $1.crt > $1.pem
}
here=DNS:localhost,DNS:registry.test,IP:127.0.0.1
leaf good 30 2048 $here
leaf expired -1 2048 $here
leaf wrong_host 30 2048 DNS:elsewhere.test
leaf weak 30 1024 $here
openssl req -x509 -newkey rsa:2048 -nodes -keyout self_signed.key -out self_signed.crt -days 30 \
  -subj /CN=localhost -addext subjectAltName=$here
cat self_signed.key self_signed.crt > self_signed.pem
]]

local Server = {}
Server.__index = Server

--- The URL of a path of one of its servers.
function Server:url(path, name, scheme)
  return ("%s://127.0.0.1:%d%s"):format(scheme or "http", self.ports[name or "http"], path)
end

function Server:stop()
  self.pipe:close() -- the end of its stdin ends it
  os.execute("rm -rf '" .. self.folder .. "'")
end

--- Starts it; with certificates it listens on TLS as well (about 2 s to make them).
function faults.start(certificates)
  local pipe = io.popen "mktemp -d"
  local folder = pipe:read "l"
  pipe:close()
  if certificates then
    assert(os.execute(MAKE_CERTIFICATES:format(folder)), "openssl made no certificates: " .. folder)
  end
  local self = setmetatable({ folder = folder }, Server)
  self.pipe = assert(io.popen(("exec python3 -W ignore tests/testbed/http_faults.py '%s'"):format(folder), "w"))
  ctz.timeout(30, function()
    repeat
      ctz.sleep(0.01)
      local chunk = loadfile(folder .. "/ports.lua")
      self.ports = chunk and chunk()
    until self.ports
  end)
  return self
end

return faults
