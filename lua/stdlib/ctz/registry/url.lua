-- registry/url.lua: URLs as registries use them: where a Location leads, and whether one may go there.
-- SPDX-License-Identifier: MIT
local pairs, tonumber, tostring, type = pairs, tonumber, tostring, type
local concat, sort = table.concat, table.sort

local DEFAULT_PORTS <const> = { http = 80, https = 443 }

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

-- "https://host:port/path?query" -> {scheme, host, port, target}; nil when it is no such URL.
local function parse(text)
  local scheme, authority, target = text:match "^(%a+)://([^/?#]*)([^#]*)"
  scheme = scheme and scheme:lower()
  if not DEFAULT_PORTS[scheme] or text:find "[%c%s\\]" then
    return nil
  end
  authority = authority:gsub("^.*@", "") -- credentials of a URL that somebody else wrote are not ours
  local host, port = authority:match "^(%[[%x:.]+%]):?(%d*)$"
  if not host then
    host, port = authority:match "^([%w._-]+):?(%d*)$"
  end
  if not host then
    return nil
  end
  port = port == "" and DEFAULT_PORTS[scheme] or tonumber(port)
  target = target:find "^/" and target or "/" .. target
  return { scheme = scheme, host = host:lower(), port = port, target = target }
end

local function authority_of(url)
  return url.port == DEFAULT_PORTS[url.scheme] and url.host or url.host .. ":" .. url.port
end

local function text_of(url)
  return url.scheme .. "://" .. authority_of(url) .. url.target
end

local function same_origin(a, b)
  return a.scheme == b.scheme and a.host == b.host and a.port == b.port
end

-- "/a/b/../c" -> "/a/c" (RFC 3986, 5.2.4)
local function without_dots(path)
  local parts = {}
  for part in path:gmatch "/([^/]*)" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  local ends_in_folder = path:find "/%.%.?$"
  return "/" .. concat(parts, "/") .. (ends_in_folder and #parts > 0 and "/" or "")
end

-- What a reference means in an answer to a request for base (both parsed); nil when it is no URL.
local function resolve(base, reference)
  reference = reference:match "^%s*([^#]-)%s*$" or reference
  if reference:find "^%a[%w+.-]*:" and not reference:find "^[^/?]*:%d" then
    return parse(reference)
  elseif reference:find "^//" then
    return parse(base.scheme .. ":" .. reference)
  elseif reference:find "[%c%s\\]" then
    return nil
  end
  local before, query = base.target:match "^([^?]*)(%??.*)$"
  local path, wanted = reference:match "^([^?]*)(%??.*)$"
  if path == "" then
    path, wanted = before, wanted ~= "" and wanted or query
  elseif not path:find "^/" then
    path = before:gsub("[^/]*$", "") .. path
  end
  return { scheme = base.scheme, host = base.host, port = base.port, target = without_dots(path) .. wanted }
end

-- {n = 1, scope = {"a", "b"}} -> "n=1&scope=a&scope=b"
local function query_of(fields)
  local names, parts = {}, {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  sort(names)
  for _, name in pairs(names) do
    local value = fields[name]
    for _, one in pairs(type(value) == "table" and value or { value }) do
      parts[#parts + 1] = escape(name) .. "=" .. escape(one)
    end
  end
  return concat(parts, "&")
end

-- A target with fields added to its query.
local function add_query(target, fields)
  local text = query_of(fields)
  if text == "" then
    return target
  end
  local joint = not target:find("?", 1, true) and "?" or target:find "[?&]$" and "" or "&"
  return target .. joint .. text
end

-- For people: signed URLs carry a secret in their query.
local function shown(url)
  local target = url.target:gsub("%?.*$", "?...")
  return url.scheme .. "://" .. authority_of(url) .. target
end

-- A text of others with the queries of its URLs left out.
local function redact(text)
  return (text:gsub("(%a+://[^%s\"'?]*)%?[^%s\"']*", "%1?..."))
end

-- --- where requests may be led -----------------------------------------------------------------

local function is_private_ipv4(a, b)
  return a == 0 or a == 10 or a == 127 or a >= 224 or a == 169 and b == 254 or a == 192 and b == 168
    or a == 172 and b >= 16 and b <= 31 or a == 100 and b >= 64 and b <= 127
end

local function is_loopback(host)
  return host == "localhost" or host:find "%.localhost$" ~= nil or host:find "^127%.%d+%.%d+%.%d+$" ~= nil
    or host == "[::1]"
end

-- A name or an address that is never a public host, in any of the ways in which addresses are written.
local function is_private(host)
  if is_loopback(host) then
    return true
  end
  local v6 = host:match "^%[(.*)%]$"
  if v6 then
    return v6:find "^::" ~= nil or v6:find "^0*:" ~= nil or v6:find "^f[cdef]" ~= nil or v6:find "^64:ff9b:" ~= nil
  end
  local a, b, c, d = host:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if a and not (a .. "." .. b .. "." .. c .. "." .. d .. "."):find "^0%d" then
    return is_private_ipv4(tonumber(a), tonumber(b))
  end
  local last = host:gsub("%.$", ""):match "[^.]*$"
  return last:find "^%d+$" ~= nil or last:find "^0x%x*$" ~= nil -- 2130706433, 0x7f.1
end

return {
  parse = parse, resolve = resolve, text_of = text_of, authority_of = authority_of, same_origin = same_origin,
  add_query = add_query, query_of = query_of, escape = escape, shown = shown, redact = redact,
  is_private = is_private, is_loopback = is_loopback,
}
