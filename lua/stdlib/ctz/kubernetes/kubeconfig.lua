-- kubernetes/kubeconfig.lua: which cluster is meant, and as whom, found as kubectl finds it.
-- SPDX-License-Identifier: MIT
-- Source: client-go, tools/clientcmd (loader.go, validation.go), rest/config.go (in-cluster).
local env = require "ctz.env"
local failure = require "ctz.kubernetes.failure"
local fs = require "ctz.fs"
local problems = require "ctz.problems"
local yaml = require "ctz.yaml"

local error, ipairs, next, pairs, pcall, require, type = error, ipairs, next, pairs, pcall, require, type
local concat = table.concat
local nearest, sorted_keys = problems.nearest, problems.sorted_keys

local CONNECT <const> = "kubernetes.connect"
local POD_FOLDER <const> = "/var/run/secrets/kubernetes.io/serviceaccount/"

-- Fields that are read, and of which type.
local CLUSTER <const> = {
  server = "string", ["tls-server-name"] = "string", ["insecure-skip-tls-verify"] = "boolean",
  ["certificate-authority"] = "string", ["certificate-authority-data"] = "string", ["proxy-url"] = "string",
  ["disable-compression"] = "boolean", extensions = "table",
}
local USER <const> = {
  ["client-certificate"] = "string", ["client-certificate-data"] = "string", ["client-key"] = "string",
  ["client-key-data"] = "string", token = "string", tokenFile = "string", ["as"] = "string", ["as-uid"] = "string",
  ["as-groups"] = "table", ["as-user-extra"] = "table", username = "string", password = "string",
  ["auth-provider"] = "table", exec = "table", extensions = "table",
}
local CONTEXT <const> = { cluster = "string", user = "string", namespace = "string", extensions = "table" }

local function set(value)
  return value ~= "" and value or nil
end

-- --- places ------------------------------------------------------------------------------------

-- "FILE:LINE" of a text in a file, "FILE" when it is not found as written.
local function place(file, text)
  local at = type(text) == "string" and text ~= "" and file.text:find(text, 1, true)
  if not at then
    return file.path
  end
  local _, lines = file.text:sub(1, at):gsub("\n", "")
  return ("%s:%d"):format(file.path, lines + 1)
end

local function refuse(where, text, hint)
  failure.fail("usage", CONNECT, where .. ": " .. text, { hint = hint })
end

-- --- files -------------------------------------------------------------------------------------

local function resolve(file, path)
  return path:sub(1, 1) == "/" and path or file.folder .. path
end

-- {clusters = {name = fields}, ...} of one kind, each with its file.
local function named(file, kind, field)
  local list, map = file.value[kind], {}
  if list == nil or type(list) == "userdata" then
    return map
  elseif type(list) ~= "table" or list[1] == nil and next(list) ~= nil then
    refuse(place(file, kind .. ":"), ("%s is no list"):format(kind))
  end
  for i, entry in ipairs(list) do
    local name = type(entry) == "table" and entry.name
    local fields = name and entry[field]
    if type(name) ~= "string" then
      refuse(place(file, kind .. ":"), ("%s[%d] has no name"):format(kind, i))
    elseif map[name] then
      refuse(place(file, kind .. ":"), ("%s holds the name %q twice"):format(kind, name))
    end
    map[name] = { file = file, name = name, fields = type(fields) == "table" and fields or {}, kind = field }
  end
  return map
end

-- A file as its parts; nil when there is none and none is needed.
local function read_file(path, is_needed)
  local ok, text = pcall(fs.read, path)
  if not ok and text.kind == "not_found" and not is_needed then
    return nil
  elseif not ok then
    text.op, text.message = CONNECT, "the kubeconfig " .. text.message:gsub("^fs%.read: ", "")
    error(text, 0)
  end
  local decoded, value = pcall(yaml.decode, text, { schema = "k8s", name = path })
  if not decoded then
    value.op, value.kind = CONNECT, "usage"
    error(value, 0)
  end
  local file = { path = path, text = text, folder = path:match "^(.*/)" or "", value = value }
  if text:find "^%s*$" or type(value) == "userdata" then
    file.value = {}
  elseif type(value) ~= "table" or value[1] ~= nil then
    refuse(path, "it is no kubeconfig: no mapping", "it begins with apiVersion: v1, kind: Config")
  end
  file.clusters = named(file, "clusters", "cluster")
  file.users = named(file, "users", "user")
  file.contexts = named(file, "contexts", "context")
  return file
end

-- The names of the files, and whether each must be there.
local function paths_of(given)
  if type(given) == "string" then
    return { given }, true
  elseif given then
    return given, true
  end
  local list = set(env.KUBECONFIG)
  if not list then
    local home = set(env.HOME)
    return home and { home .. "/.kube/config" } or {}, false
  end
  local paths, seen = {}, {}
  for path in list:gmatch "[^:]+" do
    if not seen[path] then
      seen[path], paths[#paths + 1] = true, path
    end
  end
  return paths, false
end

-- The first file that says something counts: for each name, and for current-context.
local function merge(paths, are_needed)
  local merged = { clusters = {}, users = {}, contexts = {}, files = {} }
  for _, path in ipairs(paths) do
    local file = read_file(path, are_needed)
    if file then
      merged.files[#merged.files + 1] = path
      for _, kind in ipairs { "clusters", "users", "contexts" } do
        for name, entry in pairs(file[kind]) do
          merged[kind][name] = merged[kind][name] or entry
        end
      end
      local current = file.value["current-context"]
      merged.current = merged.current or type(current) == "string" and set(current) or nil
    end
  end
  return merged
end

-- --- one entry ---------------------------------------------------------------------------------

-- The entry's fields without nulls and empty texts, each of its type.
local function fields_of(entry, types)
  local fields = {}
  for _, name in ipairs(sorted_keys(entry.fields)) do
    local value, wanted = entry.fields[name], types[name]
    local where = place(entry.file, name .. ":")
    if not wanted then
      local near = nearest(name, sorted_keys(types))
      require("ctz.log").warn(("%s: the %s %s has the unknown field %s%s"):format(where, entry.kind, entry.name, name,
        near and (", meant is " .. near .. "?") or ""))
    elseif type(value) ~= "userdata" and value ~= "" then
      if type(value) ~= wanted then
        local text = "%s of the %s %q: expected %s, got %s"
        refuse(where, text:format(name, entry.kind, entry.name, wanted, type(value)))
      end
      fields[name] = value
    end
  end
  return fields
end

local function pick(merged, kind, name, why)
  local entry = merged[kind][name]
  if not entry then
    local names = sorted_keys(merged[kind])
    local near = nearest(name, names)
    failure.fail("not_found", CONNECT, ("there is no %s %q in %s%s"):format(kind:sub(1, -2), name,
      #merged.files > 0 and concat(merged.files, ", ") or "any kubeconfig", why or ""), {
      hint = near and ("did you mean %q?"):format(near) or #names > 0 and "it has " .. concat(names, ", ") or nil,
      target = name,
    })
  end
  return entry
end

-- The bytes of a field NAME-data, or the path of the file NAME; data goes before the file.
local function material(entry, fields, name)
  local data = fields[name .. "-data"]
  if not data then
    return fields[name] and resolve(entry.file, fields[name])
  end
  local ok, bytes = pcall(require("ctz.base64").decode, data)
  if not ok or not bytes:find("-----BEGIN ", 1, true) then
    refuse(place(entry.file, data), ("%s-data of the %s %q is no %s"):format(name, entry.kind, entry.name,
      ok and "PEM text" or "base64: " .. bytes.message))
  end
  return bytes
end

-- --- the cluster -------------------------------------------------------------------------------

-- https://HOST:PORT/PREFIX without its last slash, and HOST:PORT.
local function server_of(where, text, is_secure)
  if not text:find "://" then
    text = (is_secure and "https://" or "http://") .. text
  end
  local scheme, authority, path = text:match "^(https?)://([^/?#@%s]+)([^?#%s]*)$"
  local name = authority and (authority:match "^(%[[%x:.%%]+%])" or authority:match "^[%w._%-]+")
  local port = name and authority:sub(#name + 1)
  if not name or port ~= "" and not port:find "^:%d%d?%d?%d?%d?$" then
    refuse(where, ("%q is no address of a server"):format(text), "https://HOST:6443")
  end
  local address = port ~= "" and authority or name .. (scheme == "https" and ":443" or ":80")
  return scheme .. "://" .. authority .. path:gsub("/+$", ""), address:lower()
end

local function tls_of(entry, fields)
  local insecure = fields["insecure-skip-tls-verify"] or nil
  local ca = material(entry, fields, "certificate-authority")
  if insecure and ca then
    refuse(place(entry.file, "insecure-skip-tls-verify"),
      ("the cluster %q has a certificate-authority and insecure-skip-tls-verify: one of them"):format(entry.name))
  end
  return { ca = ca, server_name = fields["tls-server-name"], insecure = insecure }
end

local function cluster_of(entry)
  local fields = fields_of(entry, CLUSTER)
  if not fields.server then
    refuse(place(entry.file, "name: " .. entry.name), ("the cluster %q has no server"):format(entry.name))
  end
  local tls = tls_of(entry, fields)
  local server, address = server_of(place(entry.file, fields.server), fields.server, next(tls) ~= nil)
  local proxy = fields["proxy-url"]
  if proxy and not proxy:find "^%a[%w+.-]*://[^/]" then
    refuse(place(entry.file, proxy), ("proxy-url of the cluster %q is no URL"):format(entry.name),
      "http://HOST:PORT or socks5://HOST:PORT")
  end
  return {
    server = server, address = address, tls = tls, proxy = proxy, disable_compression = fields["disable-compression"],
    cluster_name = entry.name, source = entry.file.path, cluster_fields = fields,
  }
end

local function impersonation_of(opts, fields)
  local user = opts.as or fields.as
  local groups = opts.as_groups or not opts.as and fields["as-groups"] or nil
  local uid = opts.as_uid or not opts.as and fields["as-uid"] or nil
  if not user then
    if groups or uid then
      failure.usage(CONNECT, "groups and a uid are impersonated with a user only: as=")
    end
    return nil
  end
  return { user = user, groups = groups, uid = uid, extra = not opts.as and fields["as-user-extra"] or nil }
end

-- Who asks: cert and key of TLS, or cluster.authorize(headers, {fresh, op}) -> {cert, key} | nil
local function identify(cluster, entry, fields)
  local cert, key = material(entry, fields, "client-certificate"), material(entry, fields, "client-key")
  if (cert == nil) ~= (key == nil) then
    refuse(place(entry.file, "name: " .. entry.name),
      ("the user %q has a client %s without a %s"):format(entry.name, cert and "certificate" or "key",
        cert and "client-key" or "client-certificate"))
  end
  cluster.tls.cert, cluster.tls.key = cert, key
  local token_file = fields.tokenFile and resolve(entry.file, fields.tokenFile)
  if fields.username and (fields.token or token_file) then
    refuse(place(entry.file, "username:"), ("the user %q has a token and a username: one of them"):format(entry.name))
  elseif fields.exec and fields["auth-provider"] then
    refuse(place(entry.file, "exec:"), ("the user %q has exec and auth-provider: one of them"):format(entry.name))
  elseif fields.token or token_file then
    cluster.authorize = require("ctz.kubernetes.auth.token").bearer(fields.token, token_file)
  elseif fields.username then
    cluster.authorize = require("ctz.kubernetes.auth.token").basic(fields.username, fields.password or "")
  elseif fields.exec then
    cluster.authorize = require("ctz.kubernetes.auth.exec").authorizer(cluster, fields.exec, {
      name = entry.name, file = entry.file, place = place(entry.file, "exec:"),
    })
  elseif fields["auth-provider"] then
    cluster.authorize = require("ctz.kubernetes.auth.oidc").authorizer(fields["auth-provider"], {
      name = entry.name, file = entry.file, place = place(entry.file, "auth-provider:"),
    })
  elseif cert and not (fields["client-certificate-data"] or fields["client-key-data"]) then
    cluster.authorize = require("ctz.kubernetes.auth.certificate").authorizer(cert, key)
  end
end

-- --- in a pod ----------------------------------------------------------------------------------

-- The service account of the pod; nil when this is none.
local function in_cluster(opts)
  local host, port = set(env.KUBERNETES_SERVICE_HOST), set(env.KUBERNETES_SERVICE_PORT)
  local folder = opts.pod_folder or POD_FOLDER -- the specs have one of their own
  local has_token = host and port and fs.exists(folder .. "token")
  if not has_token then
    if opts.in_cluster then
      failure.fail("not_found", CONNECT, ("this is no pod with a service account: there is no %s"):format(
        host and port and folder .. "token" or "KUBERNETES_SERVICE_HOST and _PORT"))
    end
    return nil
  end
  local authority = (host:find(":", 1, true) and "[" .. host .. "]" or host) .. ":" .. port
  local ok, namespace = pcall(fs.read, folder .. "namespace")
  return {
    name = "in-cluster", context = "in-cluster", shown = "this pod", server = "https://" .. authority,
    address = authority:lower(), source = folder, namespace = opts.namespace or ok and set(namespace) or "default",
    tls = { ca = fs.exists(folder .. "ca.crt") and folder .. "ca.crt" or nil },
    authorize = require("ctz.kubernetes.auth.token").bearer(nil, folder .. "token"),
    impersonate = impersonation_of(opts, {}),
  }
end

-- --- the choice --------------------------------------------------------------------------------

local function no_config(paths)
  failure.fail("not_found", CONNECT, ("no kubeconfig: %s"):format(
    #paths > 0 and concat(paths, ", ") .. (#paths == 1 and " is not there" or " are not there") or "no HOME is set"),
    { hint = "KUBECONFIG or connect{kubeconfig=...} names it" })
end

local function context_of(merged, opts)
  local name = opts.context or merged.current
  if not name then
    local names = sorted_keys(merged.contexts)
    failure.fail("not_found", CONNECT, ("%s has no current-context"):format(concat(merged.files, ", ")), {
      hint = #names > 0 and "connect{context=...}: it has " .. concat(names, ", ") or nil,
    })
  end
  return name
end

-- "dev-*" allows "dev-1"; nothing else is special.
local function matches(name, pattern)
  local lua = pattern:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*")
  return name:find("^" .. lua .. "$") ~= nil
end

local function check_allowed(name, allowed)
  for _, pattern in ipairs(allowed or { "*" }) do
    if type(pattern) == "string" and matches(name, pattern) then
      return
    end
  end
  failure.fail("denied", CONNECT, ("the context %q is none of allow_contexts (%s)"):format(name, concat(allowed, ", ")),
    { hint = "connect{context=...} names another one", target = name })
end

-- load{kubeconfig=, context=, namespace=, allow_contexts=, in_cluster=, as=, ...} -> cluster: {name,
-- context, user, shown (for people), server ("https://host:port/prefix"), address (subject of --allow
-- kubernetes=), namespace, tls = {ca, cert, key, server_name, insecure} of ctz.http, proxy, source,
-- impersonate = {user, groups, uid, extra}, authorize(headers, {fresh, op}) -> tls of the caller | nil}.
local function load(opts)
  if opts.in_cluster then
    check_allowed("in-cluster", opts.allow_contexts)
    return in_cluster(opts)
  end
  local paths, are_needed = paths_of(opts.kubeconfig)
  local merged = merge(paths, are_needed)
  if #merged.files == 0 then
    local pod = not opts.context and in_cluster(opts)
    if pod then
      check_allowed("in-cluster", opts.allow_contexts)
    end
    return pod or no_config(paths)
  end
  local name = context_of(merged, opts)
  local entry = pick(merged, "contexts", name)
  check_allowed(name, opts.allow_contexts)
  local context = fields_of(entry, CONTEXT)
  local why = (", which the context %q names"):format(name)
  if not context.cluster then
    refuse(place(entry.file, "name: " .. name), ("the context %q names no cluster"):format(name))
  end
  local cluster = cluster_of(pick(merged, "clusters", context.cluster, why))
  local user, fields = context.user and pick(merged, "users", context.user, why), {}
  if user then
    fields = fields_of(user, USER)
    identify(cluster, user, fields)
  end
  cluster.impersonate = impersonation_of(opts, fields)
  cluster.name, cluster.context, cluster.user = context.cluster, name, context.user
  cluster.shown = "the context " .. name
  cluster.namespace = opts.namespace or context.namespace or "default"
  return cluster
end

return { load = load }
