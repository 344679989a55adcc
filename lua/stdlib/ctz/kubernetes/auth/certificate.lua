-- kubernetes/auth/certificate.lua: users with a client certificate in files that somebody renews.
-- SPDX-License-Identifier: MIT
local fs = require "ctz.fs"

local pcall = pcall

-- authorizer(cert, key) -> authorize: the files are TLS's until the server refuses the certificate. What they hold
-- then goes on as text: a connection that was opened with the old one is not used for it.
local function authorizer(cert, key)
  local known
  return function(_, opts)
    if opts.fresh then
      local ok, cert_text = pcall(fs.read, cert)
      local key_ok, key_text = pcall(fs.read, key)
      known = ok and key_ok and { cert = cert_text, key = key_text } or known
    end
    return known
  end
end

return { authorizer = authorizer }
