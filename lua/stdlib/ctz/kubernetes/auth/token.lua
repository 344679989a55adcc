-- kubernetes/auth/token.lua: users with a token, a file of one that somebody renews, or a password.
-- SPDX-License-Identifier: MIT
local base64 = require "ctz.base64"
local failure = require "ctz.kubernetes.failure"
local fs = require "ctz.fs"
local monotonic = require("ctz.time").monotonic
local secret = require "ctz.secret"

local pcall = pcall

local READ_AGAIN_S <const> = 10

-- bearer(token | nil, path | nil) -> authorize: the file, which is read again and again, goes before the
-- token, which is what kubectl does too.
local function bearer(token, path)
  local header, read_at = token and secret("Bearer " .. token), nil
  return function(headers, opts)
    local now = monotonic()
    if path and (not read_at or opts.fresh or now - read_at > READ_AGAIN_S) then
      local ok, text = pcall(fs.read, path)
      local word = ok and text:match "^%s*(%S+)%s*$"
      if word then
        header, read_at = secret("Bearer " .. word), now
      elseif not header then
        failure.fail("auth", opts.op, ok and path .. " holds no token" or text.message, { target = path })
      end
    end
    headers.Authorization = header
  end
end

local function basic(user, password)
  local header = secret("Basic " .. base64.encode(user .. ":" .. password))
  return function(headers)
    headers.Authorization = header
  end
end

return { bearer = bearer, basic = basic }
