-- kubernetes/builders/configmap.lua: the manifests of a ConfigMap and a Secret.
-- SPDX-License-Identifier: MIT
local base64 = require "ctz.base64"
local make_secret = require "ctz.secret"
local names = require "ctz.kubernetes.names"
local shared = require "ctz.kubernetes.builders.shared"

local ipairs, tostring, type = ipairs, tostring, type

local function map_fields(manifest, given, problems)
  manifest.data = shared.map(problems, given.data, "data", names.data_key)
  for _, key in ipairs(shared.sorted_keys(manifest.data or {})) do
    if shared.is_secret(manifest.data[key]) then
      problems:usage("data." .. key, "a secret is not for a ConfigMap: use kubernetes.secret")
    end
  end
  if problems:check(given.binary, "table", "binary") then
    manifest.binaryData = {}
    for _, key in ipairs(shared.sorted_keys(given.binary)) do
      if problems:check(given.binary[key], "string", "binary." .. tostring(key)) then
        manifest.binaryData[key] = base64.encode(given.binary[key])
      end
    end
  end
  manifest.immutable = given.immutable
  problems:check(given.immutable, "boolean", "immutable")
end

--- ctz.kubernetes.configmap(description) -> table
--- The manifest of a ConfigMap.
--- @param description.name string
--- @param description.data? table<string, string>  numbers and booleans become texts
--- @param description.binary? table<string, string>  bytes
--- @param description.namespace? string  also labels, annotations, immutable
--- @return table  the manifest
--- @error usage  what is wrong, with the place of each problem
--- @example assert(ctz.kubernetes.configmap{name="app", data={PORT=80}}.data.PORT == "80")
--- Api: v1, ConfigMap
local function configmap(description)
  return shared.build("kubernetes.configmap", description,
    { api_version = "v1", kind = "ConfigMap", fields = { "data", "binary", "immutable" } }, map_fields)
end

local function secret_fields(manifest, given, problems)
  manifest.type = given.type or "Opaque"
  problems:check(given.type, "string", "type")
  problems:check(given.immutable, "boolean", "immutable")
  manifest.immutable = given.immutable
  manifest.data = shared.map(problems, given.data, "data", names.data_key)
  for _, key in ipairs(shared.sorted_keys(manifest.data or {})) do
    local value = manifest.data[key]
    manifest.data[key] = make_secret(base64.encode(type(value) == "userdata" and value:reveal() or value))
  end
end

--- ctz.kubernetes.secret(description) -> table
--- The manifest of a Secret. The values, texts or ctz.secret, are secrets in it from then on: nothing
--- prints them, tostring has "***" in their place.
--- @param description.name string
--- @param description.data? table<string, string|ctz.secret>  as they are: they are encoded here
--- @param description.type? string  default "Opaque"
--- @param description.namespace? string  also labels, annotations, immutable
--- @return table  the manifest
--- @error usage  what is wrong, with the place of each problem
--- @example local manifest = ctz.kubernetes.secret{name="db", data={password=ctz.secret "hunter22"}}
--- @example assert(tostring(manifest):find("password: '***'", 1, true) or tostring(manifest):find("***", 1, true))
--- @example assert(manifest.data.password:equals "aHVudGVyMjI=")
--- Api: v1, Secret
local function secret(description)
  return shared.build("kubernetes.secret", description,
    { api_version = "v1", kind = "Secret", fields = { "data", "type", "immutable" } }, secret_fields)
end

return { configmap = configmap, secret = secret }
