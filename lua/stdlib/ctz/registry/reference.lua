-- registry/reference.lua: names of images in registries, as Docker reads them.
-- SPDX-License-Identifier: MIT
-- Source: github.com/distribution/reference, reference.go (the grammar), normalize.go (docker.io).
local new_error = require("ctz.core.task").error
local options = require "ctz.options"

local error, ipairs, setmetatable, tostring, type = error, ipairs, setmetatable, tostring, type

local DEFAULT_DOMAIN <const> = "docker.io"
local LEGACY_DOMAIN <const> = "index.docker.io"
local OFFICIAL <const> = "library/"
local PATH_BYTES <const> = 255
local TAG_BYTES <const> = 128
local SHOWN_BYTES <const> = 100
local HEX_DIGITS <const> = { sha256 = 64, sha384 = 96, sha512 = 128 }

-- --- the grammar -------------------------------------------------------------------------------

-- domain-component *["." domain-component] or "[" IPv6 "]", then [":" port]
local function is_domain(text)
  local rest = text:match "^%[[0-9A-Fa-f:]+%](.*)$"
  if not rest then
    local host
    host, rest = text:match "^([^:]*)(.*)$"
    for part in (host .. "."):gmatch "([^.]*)%." do
      if not part:find "^[A-Za-z0-9][A-Za-z0-9-]*$" or part:sub(-1) == "-" then
        return false
      end
    end
  end
  return rest == "" or rest:find "^:[0-9]+$" ~= nil
end

-- a-z and 0-9, parted by one dot, one or two underscores, or any number of dashes.
local function is_path_component(part)
  if not part:find "^[a-z0-9]" or not part:find "[a-z0-9]$" or part:find "[^a-z0-9._-]" then
    return false
  end
  for separator in part:gmatch "[._-]+" do
    if separator ~= "." and separator ~= "_" and separator ~= "__" and separator:find "[^-]" then
      return false
    end
  end
  return true
end

-- Each of these returns nil when the part is right, else what is wrong and a hint.

local function problem_of_path(path)
  if path:find "[A-Z]" then
    return "repository name must be lowercase", ('"%s" would be one'):format(path:gsub("^" .. OFFICIAL, ""):lower())
  end
  for part in (path .. "/"):gmatch "([^/]*)/" do
    if part == "" then
      return "a component of its path is empty"
    elseif not is_path_component(part) then
      return ('the path component "%s" is none: a-z and 0-9, parted by one dot, one or two underscores or dashes')
        :format(part)
    end
  end
  if #path > PATH_BYTES then
    return ("repository name must not be more than %d characters"):format(PATH_BYTES)
  end
  return nil
end

local function problem_of_tag(tag)
  if #tag > TAG_BYTES then
    return ("a tag has at most %d characters"):format(TAG_BYTES)
  elseif not tag:find "^[A-Za-z0-9_][A-Za-z0-9_.-]*$" then
    return ('invalid tag format: "%s"'):format(tag), "a tag has letters, digits, underscores, dots and dashes, and "
      .. "begins with none of the last two"
  end
  return nil
end

local function problem_of_digest(digest)
  local algorithm, hex = digest:match "^([A-Za-z][A-Za-z0-9+._-]*):([0-9A-Fa-f]+)$"
  if not algorithm or algorithm:find "[+._-][^A-Za-z]" or algorithm:find "[+._-]$" or #hex < 32 then
    return ('invalid digest format: "%s"'):format(digest), "a digest is sha256: and 64 hex digits"
  elseif not HEX_DIGITS[algorithm] then
    return ('unsupported digest algorithm "%s"'):format(algorithm), "known are sha256, sha384 and sha512"
  elseif #hex ~= HEX_DIGITS[algorithm] then
    return ("invalid checksum digest length: %d hex digits, %s has %d"):format(#hex, algorithm, HEX_DIGITS[algorithm])
  elseif hex:find "[A-F]" then
    return "invalid checksum digest format: its hex digits are lower case"
  end
  return nil
end

-- --- reading -----------------------------------------------------------------------------------

-- "host/path" -> domain, path as Docker decides. What is before the first slash is a host when it
-- looks like one.
local function split_domain(name)
  local first, rest = name:match "^([^/]*)/(.*)$"
  local domain, path = DEFAULT_DOMAIN, name
  if first and (first == "localhost" or first:find "[.:A-Z]") then
    domain, path = first == LEGACY_DOMAIN and DEFAULT_DOMAIN or first, rest
  end
  if domain == DEFAULT_DOMAIN and not path:find("/", 1, true) then
    path = OFFICIAL .. path
  end
  return domain, path
end

-- The parts of a text; nil, what is wrong, hint.
local function split(text)
  if text == "" then
    return nil, "repository name must have at least one component"
  elseif #text == 64 and not text:find "[^0-9a-f]" then
    return nil, "64 hex digits are the id of an image, no name"
  elseif text:find "^%a+://" then
    return nil, "it is a URL", ('did you mean "%s"?'):format(text:match "^%a+://(.*)$")
  end
  local name, digest = text:match "^([^@]*)@(.*)$"
  local domain, rest = split_domain(name or text)
  local path, tag = rest:match "^([^:]*):(.*)$"
  return { domain = domain, path = path or rest, tag = tag, digest = digest }
end

-- What is wrong with the parts, and a hint; nil when nothing is.
local function problem_of(parts)
  if not is_domain(parts.domain) then
    return ('"%s" is no host'):format(parts.domain), "a host is a name, an address or [IPv6 address], and :port"
  elseif parts.path == "" or parts.path == OFFICIAL then
    return "repository name must have at least one component"
  end
  local problem, hint = problem_of_path(parts.path)
  if not problem and parts.tag then
    problem, hint = problem_of_tag(parts.tag)
  end
  if not problem and parts.digest then
    problem, hint = problem_of_digest(parts.digest)
  end
  return problem, hint
end

local Reference = { __name = "ctz.registry.Reference" }

-- read(text) -> parts, or nil, what is wrong, hint. For checks that tell several problems at once.
local function read(text)
  local parts, problem, hint = split(text)
  if parts then
    problem, hint = problem_of(parts)
  end
  if problem then
    return nil, problem, hint
  end
  return setmetatable(parts, Reference)
end

local function quote(text)
  return ("%q"):format(#text > SHOWN_BYTES and text:sub(1, SHOWN_BYTES) .. "..." or text):gsub("\\\n", "\\n")
end

local function usage(op, message, hint)
  error(new_error { kind = "usage", op = op, message = message, hint = hint }, 0)
end

--- ctz.registry.reference.parse(text, opts?) -> ctz.registry.Reference
--- The parts of an image's name in a registry, as Docker reads it: without a host it is on
--- docker.io, and a single word is in library/ there. The result prints as the full name.
--- @param text string  "alpine", "ghcr.io/owner/name:1.2", "localhost:5000/a/b@sha256:..."
--- @param opts.default_tag? boolean  true: with neither tag nor digest the tag is "latest"
--- @return {domain: string, path: string, tag: string?, digest: string?}
--- @error usage  it is no such name; the message tells which part
--- @example local ref = ctz.registry.reference.parse("alpine:3.20")
--- @example assert(ref.domain == "docker.io" and ref.path == "library/alpine" and ref.tag == "3.20")
--- Api: distribution/reference, ParseNormalizedNamed
local function parse(text, opts)
  local op <const> = "registry.reference.parse"
  if type(text) ~= "string" then
    usage(op, ("bad argument 'text' to '%s': expected string, got %s"):format(op, type(text)))
  end
  opts = options.check(op, opts, { default_tag = "boolean" })
  local parts, problem, hint = read(text)
  if not parts then
    usage(op, ("invalid reference %s: %s"):format(quote(text), problem), hint)
  end
  if opts.default_tag and not parts.tag and not parts.digest then
    parts.tag = "latest"
  end
  return parts
end

local function familiar(domain, path)
  if domain ~= DEFAULT_DOMAIN then
    return domain .. "/" .. path
  end
  local name = path:sub(1, #OFFICIAL) == OFFICIAL and path:sub(#OFFICIAL + 1)
  return name and not name:find("/", 1, true) and name or path
end

local function to_text(parts, name)
  return name .. (parts.tag and ":" .. parts.tag or "") .. (parts.digest and "@" .. parts.digest or "")
end

function Reference:__tostring()
  return to_text(self, tostring(self.domain) .. "/" .. tostring(self.path))
end

--- ctz.registry.reference.format(parts, opts?) -> string
--- The text of a reference from its parts; parse reads it back.
--- @param parts {domain: string?, path: string, tag: string?, digest: string?}  without a domain: docker.io
--- @param opts.familiar? boolean  true: the short form, without docker.io/ and library/
--- @return string
--- @error usage  a part is missing or none
--- @example local format = ctz.registry.reference.format
--- @example assert(format{path="alpine", tag="3"} == "docker.io/library/alpine:3")
--- @example assert(format({domain="docker.io", path="library/alpine"}, {familiar=true}) == "alpine")
local function format(parts, opts)
  local op <const> = "registry.reference.format"
  if type(parts) ~= "table" then
    usage(op, ("bad argument 'parts' to '%s': expected table, got %s"):format(op, type(parts)))
  end
  opts = options.check(op, opts, { familiar = "boolean" })
  for _, name in ipairs { "domain", "path", "tag", "digest" } do
    local value = parts[name]
    if type(value) ~= "string" and (value ~= nil or name == "path") then
      usage(op, ("bad argument 'parts.%s' to '%s': expected string, got %s"):format(name, op, type(value)))
    end
  end
  local domain, path = parts.domain or DEFAULT_DOMAIN, parts.path
  domain = domain == LEGACY_DOMAIN and DEFAULT_DOMAIN or domain
  if domain == DEFAULT_DOMAIN and path ~= "" and not path:find("/", 1, true) then
    path = OFFICIAL .. path
  end
  local problem, hint = problem_of { domain = domain, path = path, tag = parts.tag, digest = parts.digest }
  if problem then
    usage(op, "invalid reference: " .. problem, hint)
  end
  return to_text(parts, opts.familiar and familiar(domain, path) or domain .. "/" .. path)
end

return { parse = parse, format = format, read = read }
