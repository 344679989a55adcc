-- registry/hosts.lua: what known registries do differently, and what certs.d keeps for a registry.
-- SPDX-License-Identifier: MIT
-- Source: the services' own documents, and what clients had to learn of them: go-containerregistry,
-- regclient, oras-go and containers/image name each of these in their code or issues.
local env = require "ctz.env"
local fs = require "ctz.fs"
local new_error = require("ctz.core.task").error

local error, ipairs, pairs, pcall, type = error, ipairs, pairs, pcall, type
local concat = table.concat

-- api: the host that speaks the API; library: where single names are; page: most names of one page;
-- catalog: why it is refused; chunk: most bytes of one PATCH; fresh: credentials live for hours only, so a
-- helper is asked again; login: how to get some; realms: other hosts that may be told the password;
-- create: a push needs the repository to exist; quota: the repository whose manifest tells how many pulls
-- are left.
local types <const> = {
  dockerhub = {
    api = "registry-1.docker.io", library = "library/", realms = { ["auth.docker.io"] = true },
    catalog = "Docker Hub does not list its repositories", quota = "ratelimitpreview/test",
  },
  ecr = {
    page = 1000, fresh = true,
    create = "Amazon ECR keeps only repositories that exist: aws ecr create-repository --repository-name %s",
    login = "docker-credential-ecr-login in credHelpers of config.json, or aws ecr get-login-password",
  },
  acr = { page = 100, login = "az acr login, or docker-credential-acr-env" },
  gcr = { login = "gcloud auth configure-docker, or docker-credential-gcr" },
  harbor = {},
  ghcr = { chunk = 4 << 20, catalog = "ghcr.io does not list its repositories" },
  quay = { page = 100 },
  gitlab = { realms = { ["gitlab.com"] = true }, catalog = "GitLab does not list its repositories" },
  generic = {},
}

local patterns <const> = {
  { "^docker%.io$", "dockerhub" },
  { "%.dkr%.ecr[%w-]*%.[%w-]+%.amazonaws%.com$", "ecr" },
  { "%.dkr%.ecr[%w-]*%.[%w-]+%.amazonaws%.com%.cn$", "ecr" },
  { "^public%.ecr%.aws$", "ecr" },
  { "%.azurecr%.[a-z]+$", "acr" },
  { "^gcr%.io$", "gcr" },
  { "%.gcr%.io$", "gcr" },
  { "%-docker%.pkg%.dev$", "gcr" },
  { "^ghcr%.io$", "ghcr" },
  { "^quay%.io$", "quay" },
  { "^registry%.gitlab%.com$", "gitlab" },
  { "^harbor%.", "harbor" },
}

local hub_names <const> = {
  ["docker.io"] = true, ["index.docker.io"] = true, ["registry-1.docker.io"] = true,
  ["registry.hub.docker.com"] = true,
}

-- The name of a registry as it stands in references: all of Docker Hub's are docker.io.
local function canonical(name)
  return hub_names[name] and "docker.io" or name
end

-- "quay.io" -> "quay", "generic" for those that are not known.
local function type_of(name)
  local host = name:gsub(":%d+$", "")
  for _, pattern in ipairs(patterns) do
    if host:find(pattern[1]) then
      return pattern[2]
    end
  end
  return "generic"
end

-- What the challenge of a registry tells of it: Harbor and GitLab stand under any name.
local function type_of_challenge(params)
  if params.service == "harbor-registry" then
    return "harbor"
  elseif params.service == "container_registry" then
    return "gitlab"
  end
  return nil
end

-- --- certs.d -----------------------------------------------------------------------------------

-- A run that may not read the environment or these folders (--allow) finds nothing there.
local function is_denied(err)
  return type(err) == "table" and err.kind == "denied"
end

local function variable(name)
  local ok, value = pcall(function()
    return env[name]
  end)
  if not ok and not is_denied(value) then
    error(value, 0)
  end
  return ok and value and value ~= "" and value or nil
end

local function folders_of(name)
  local home = variable "HOME"
  local config = variable "XDG_CONFIG_HOME" or home and home .. "/.config"
  return {
    config and config .. "/containers/certs.d/" .. name or "/etc/containers/certs.d/" .. name,
    "/etc/containers/certs.d/" .. name,
    "/etc/docker/certs.d/" .. name,
  }
end

local function usage(path, text)
  error(new_error { kind = "usage", op = "registry.connect", target = path, message = path .. ": " .. text }, 0)
end

local function tls_of_folder(folder, names)
  local tls, authorities, there = {}, {}, {}
  for _, name in ipairs(names) do
    there[name] = true
  end
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name
    if name:find "%.crt$" then
      authorities[#authorities + 1] = fs.read(path)
    elseif name:find "%.cert$" and not tls.cert then
      local key = name:gsub("cert$", "key")
      if not there[key] then
        usage(path, "its key " .. key .. " is not beside it")
      end
      tls.cert, tls.key = path, folder .. "/" .. key
    elseif name:find "%.key$" and not there[name:gsub("key$", "cert")] then
      usage(path, "its certificate " .. name:gsub("key$", "cert") .. " is not beside it")
    end
  end
  tls.ca = #authorities > 0 and concat(authorities, "\n") or nil
  return tls
end

-- tls={ca=, cert=, key=} that certs.d keeps for "host:port", nil when it keeps nothing. The first
-- folder that is there counts, as for docker and podman.
local function tls_of(name)
  for _, folder in ipairs(folders_of(name)) do
    local ok, names = pcall(fs.list, folder)
    if ok then
      return tls_of_folder(folder, names)
    elseif not is_denied(names) and (type(names) ~= "table" or names.kind ~= "not_found") then
      error(names, 0)
    end
  end
  return nil
end

-- given goes before what certs.d says.
local function merged_tls(name, given)
  local found = tls_of(name)
  if not found or not given then
    return given or found
  end
  for key, value in pairs(given) do
    found[key] = value
  end
  return found
end

return {
  types = types, canonical = canonical, type_of = type_of, type_of_challenge = type_of_challenge,
  tls_of = merged_tls,
}
