-- kubernetes/openapi.lua: the schemas of one API group and version, as the server publishes them.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, OpenAPI v3: GET /openapi/v3, which names a document for each group and version with its hash.
--
-- Kept on the disk beside what discovery keeps, one file for each group and version; the hash tells whether it
-- still holds. Nothing is kept in memory: one group alone is megabytes as tables.
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local fs = require "ctz.fs"
local json = require "ctz.json"

local error, pcall, type = error, pcall, type

local FORM <const> = 1 -- of the file

local function file_of(client, api_version)
  local path = discovery.cache_file(client)
  return path and ("%s-openapi-%s.json"):format(path:gsub("%.json$", ""), (api_version:gsub("[^%w.]", "_")))
end

local function recall(path, hash)
  local ok, kept = pcall(function()
    return json.decode(fs.read(path))
  end)
  local is_good = ok and type(kept) == "table" and kept.form == FORM and kept.hash == hash
    and type(kept.schemas) == "table"
  return is_good and kept.schemas or nil
end

-- A disk that is full or may not be written is no reason to fail. A dry run writes nothing.
local function keep(client, path, hash, schemas)
  if client.dry_run then
    return
  end
  local _, err = pcall(function()
    fs.mkdir(path:match "^(.*)/", { parents = true, mode = "0700" })
    fs.write(path, json.encode { form = FORM, hash = hash, schemas = schemas })
  end)
  if type(err) == "table" and err.kind == "cancelled" then
    error(err, 0)
  end
end

-- The index comes as plain text from some servers.
local function ask(client, op, path, opts)
  opts.op, opts.raw = op, true
  local text, status = client:call("GET", path, opts)
  local ok, value = pcall(json.decode, text, { big = "float" })
  return ok and type(value) == "table" and value or {}, status
end

-- Where the document of a group and version is: path, query, hash.
local function place_of(client, op, api_version, timeout)
  local index, status = ask(client, op, "/openapi/v3", { timeout = timeout, ok = { [404] = true } })
  local paths = type(index.paths) == "table" and index.paths
  if status == 404 or not paths then
    failure.fail("unsupported", op, "the server has no OpenAPI v3: it is older than Kubernetes 1.24", {
      target = client.server,
    })
  end
  local one = paths[(api_version:find("/", 1, true) and "apis/" or "api/") .. api_version]
  local url = type(one) == "table" and one.serverRelativeURL
  if type(url) ~= "string" or not url:find "^/" then
    failure.fail("not_found", op, ("the server publishes no schemas of %s"):format(api_version), {
      target = api_version, hint = "an aggregated API that is down has none",
    })
  end
  return url:match "^([^?]*)", url:match "hash=([^&]*)"
end

-- schemas(client, op, "apps/v1", timeout) -> {name = schema} of that group and version
return function(client, op, api_version, timeout)
  local path, hash = place_of(client, op, api_version, timeout)
  local file = hash and file_of(client, api_version)
  local schemas = file and recall(file, hash)
  if schemas then
    return schemas
  end
  local document = ask(client, op, path, {
    target = "the schemas of " .. api_version, timeout = timeout, query = { hash = hash },
  })
  schemas = type(document.components) == "table" and document.components.schemas
  if type(schemas) ~= "table" then
    failure.fail("protocol", op, ("what the server publishes of %s is no OpenAPI document"):format(api_version), {
      target = api_version,
    })
  end
  if file then
    keep(client, file, hash, schemas)
  end
  return schemas
end
