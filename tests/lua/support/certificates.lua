-- certificates.lua: client and server certificates for a spec, by an authority of its own or one that is given.
--
--   local made = certificates.new(folder.path)                       an authority: made.ca
--   local made = certificates.new(folder.path, "ca.crt", "ca.key")
--   made:make("ann", ctz.time.now() + 3600)   folder/ann.crt and ann.key, good until then
--
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local CONFIG <const> = [[
[ca]
default_ca = here
[here]
database = index.txt
unique_subject = no
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[server]
subjectAltName = IP:127.0.0.1
]]

local Certificates = {}
Certificates.__index = Certificates

local function openssl(folder, ...)
  ctz.process.run({ "openssl", ... }, { cwd = folder, timeout = 60 })
end

local function utc(seconds) -- YYYYMMDDHHMMSSZ
  return (ctz.time.format(seconds // 1 | 0):gsub("[^%dZ]", ""))
end

--- opts.user: the CN, default the name; opts.server: of a server on 127.0.0.1
function Certificates:make(name, until_at, opts)
  opts = opts or {}
  local extensions = opts.server and { "-extensions", "server" } or {}
  openssl(self.folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" .. (opts.user or name), "-keyout",
    name .. ".key", "-out", "csr")
  openssl(self.folder, "ca", "-batch", "-config", "ca.cnf", "-cert", self.ca, "-keyfile", self.key, "-in", "csr",
    "-out", name .. ".crt", "-startdate", "20200101000000Z", "-enddate", utc(until_at), "-notext",
    table.unpack(extensions))
end

local certificates = {}

function certificates.new(folder, ca, key)
  ctz.fs.write(folder .. "/ca.cnf", CONFIG)
  ctz.fs.write(folder .. "/index.txt", "")
  if not ca then
    ca, key = folder .. "/ca.crt", folder .. "/ca.key"
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test authority", "-days", "2",
      "-keyout", "ca.key", "-out", "ca.crt")
  end
  return setmetatable({ folder = folder, ca = ca, key = key }, Certificates)
end

return certificates
