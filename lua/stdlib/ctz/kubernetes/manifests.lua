-- kubernetes/manifests.lua: manifests as people have them (tables, YAML, files, folders, URLs) as one
-- list of objects, and the order in which they are made.
-- SPDX-License-Identifier: MIT
local fs = require "ctz.fs"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local yaml = require "ctz.yaml"

local find, match, rep, sub = string.find, string.match, string.rep, string.sub
local error, ipairs, next, pcall, require, type = error, ipairs, next, pcall, require, type
local sort = table.sort

local URL_S <const> = 60
local BIG <const> = { big = "float" } -- as kubectl reads it: 1e+36

local function usage(op, place, text, hint)
  error(new_error { kind = "usage", op = op, message = place .. ": " .. text, hint = hint }, 0)
end

-- --- texts -------------------------------------------------------------------------------------

local function decode(op, text, name, line)
  local options = { schema = "k8s", strict = true, big = "float", name = name }
  local ok, documents = pcall(yaml.decode_all, text, options)
  if not ok and line > 1 then -- once more, so that the message has the line of the file
    ok, documents = pcall(yaml.decode_all, rep("\n", line - 1) .. text, options)
  end
  if not ok then
    documents.op = op
    error(documents, 0)
  end
  return documents
end

-- The documents of a YAML text: their texts and first lines. A separator is a line "---".
local function split(text)
  local parts, from, at, line, first = {}, 1, 1, 1, 1
  while at <= #text do
    local stop = find(text, "\n", at, true) or #text
    if sub(text, at, at + 2) == "---" and find(sub(text, at + 3, at + 3), "^%s?$") and at > from then
      parts[#parts + 1] = { text = sub(text, from, at - 1), line = first }
      from, first = at, line
    end
    at, line = stop + 1, line + 1
  end
  parts[#parts + 1] = { text = sub(text, from), line = first }
  return parts
end

-- The line of the first thing in a document that is neither blank, comment nor separator.
local function content_line(text, line)
  for row in (text .. "\n"):gmatch "(.-)\r?\n" do
    if not find(row, "^%s*$") and not find(row, "^%s*#") and not find(row, "^%-%-%-%s*$") and
      not find(row, "^%-%-%-%s+#") then
      return line
    end
    line = line + 1
  end
  return nil
end

local add

-- An object, or the items of a list of objects.
local function add_object(list, op, object, place)
  if type(object) ~= "table" or object == json.null or #object > 0 then
    usage(op, place, "this is no Kubernetes object: expected a mapping with apiVersion and kind")
  end
  local kind, api_version = object.kind, object.apiVersion
  for _, field in ipairs { "apiVersion", "kind" } do
    if type(object[field]) ~= "string" or object[field] == "" then
      usage(op, place, ("this is no Kubernetes object: it has no %s"):format(field),
        kind == nil and "every object begins with apiVersion and kind" or nil)
    end
  end
  if find(kind, "List$") and type(object.items) == "table" and object.spec == nil then
    for i, item in ipairs(object.items) do
      if type(item) == "table" and kind ~= "List" and item.kind == nil then
        item.kind, item.apiVersion = sub(kind, 1, -5), api_version
      end
      add_object(list, op, item, ("%s: items[%d]"):format(place, i))
    end
    return
  elseif type(object.metadata) ~= "table" then
    usage(op, place, ("%s has no metadata"):format(kind))
  elseif type(object.metadata.name) ~= "string" and type(object.metadata.generateName) ~= "string" then
    usage(op, place, ("%s has no metadata.name"):format(kind),
      object.metadata.name ~= nil and "a name is a text: put it in quotes" or nil)
  end
  list[#list + 1] = { object = object, place = place }
end

local function add_text(list, op, text, name)
  if find(text, "^\239\187\191") then
    text = sub(text, 4)
  end
  if find(text, "^%s*{") then -- JSON; what is YAML only goes on
    local ok, object = pcall(json.decode, text, BIG)
    if ok then
      return add_object(list, op, object, name .. ":1")
    end
  end
  for _, part in ipairs(split(text)) do
    local line = content_line(part.text, part.line)
    for _, object in ipairs(line and decode(op, part.text, name, part.line) or {}) do
      add_object(list, op, object, ("%s:%d"):format(name, line))
    end
  end
end

-- --- places ------------------------------------------------------------------------------------

local function is_manifest_name(name)
  return find(name, "%.ya?ml$") or find(name, "%.json$")
end

local function read_file(op, path)
  local ok, text = pcall(fs.read, path)
  if not ok then
    text.op = op
    error(text, 0)
  end
  return text
end

-- The manifests of a folder, and with `deep` of those in it (not of those that links name: they may go in
-- circles): in the order of their paths. Returns how many there are.
local function add_files(list, op, path, deep)
  local count = 0
  for _, name in ipairs(fs.list(path)) do
    local file = (path:gsub("/+$", "")) .. "/" .. name
    local facts = (deep or is_manifest_name(name)) and fs.stat(file)
    if is_manifest_name(name) and (not facts or facts.type == "file") then -- a link to nothing is told
      count = count + 1
      add_text(list, op, read_file(op, file), file)
    elseif deep and facts and facts.type == "directory" and fs.stat(file, { follow = false }).type == "directory" then
      count = count + add_files(list, op, file, deep)
    end
  end
  return count
end

local function add_path(list, op, path, deep)
  local facts = fs.stat(path)
  if facts and facts.type == "directory" then
    if add_files(list, op, path, deep) == 0 then
      usage(op, path, "no *.yaml, *.yml or *.json in this folder",
        not deep and "folders inside it are read with recursive=true" or nil)
    end
    return
  end
  add_text(list, op, read_file(op, path), path)
end

local function add_url(list, op, url, seconds)
  local ok, answer = pcall(require("ctz.http").get, url, { timeout = seconds or URL_S })
  if not ok then
    answer.op = op
    error(answer, 0)
  end
  add_text(list, op, answer.body, url)
end

-- A text of several lines, or one that is a mapping, is YAML; any other is the place of it.
local function is_yaml(text)
  return find(text, "\n", 1, true) or find(text, "^%s*{") or find(text, "^[%w-]+:%s") or find(text, "^%s*$")
end

function add(list, op, input, place, opts)
  if type(input) == "string" then
    if match(input, "^https?://") and not find(input, "\n", 1, true) then
      add_url(list, op, input, opts.timeout)
    elseif is_yaml(input) then
      add_text(list, op, input, place or "manifest")
    else
      add_path(list, op, input, opts.recursive)
    end
  elseif type(input) == "table" and input ~= json.null then
    if #input == 0 and next(input) ~= nil then
      return add_object(list, op, input, place or "manifest")
    end
    for i, one in ipairs(input) do
      add(list, op, one, ("%s[%d]"):format(place or "manifests", i), opts)
    end
  else
    usage(op, place or "manifests", ("expected an object, a text, a file, a folder, a URL or a list of them, got %s")
      :format(type(input)))
  end
end

-- read(input, op, opts?) -> {{object=, place=}, ...}. input: an object, YAML or JSON text, a file, a folder
-- (with opts.recursive those in it, too), an http(s) URL, or a list of these. Lists of objects are flattened,
-- empty documents left out, keys that stand twice refused. place: "web.yaml:12" or "manifests[2]".
-- opts.timeout: of a URL.
local function read(input, op, opts)
  local list = {}
  add(list, op or "kubernetes.manifests", input, nil, opts or {})
  return list
end

-- --- order -------------------------------------------------------------------------------------

-- Source: helm.sh/helm, pkg/release/v1/util/kind_sorter.go, InstallOrder.
local INSTALL <const> = {
  "PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy",
  "PodDisruptionBudget", "ServiceAccount", "Secret", "SecretList", "ConfigMap", "StorageClass", "PersistentVolume",
  "PersistentVolumeClaim", "CustomResourceDefinition", "ClusterRole", "ClusterRoleList", "ClusterRoleBinding",
  "ClusterRoleBindingList", "Role", "RoleList", "RoleBinding", "RoleBindingList", "Service", "DaemonSet", "Pod",
  "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob",
  "IngressClass", "Ingress", "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
}

local ranks = {}
for rank, kind in ipairs(INSTALL) do
  ranks[kind] = rank
end

-- The rank of a kind: kinds that Helm does not name (custom resources) come last.
local function rank(kind)
  return ranks[kind] or #INSTALL + 1
end

-- sort(list, reverse?) -> a new list in Helm's install order; reverse: what is taken down first. Within
-- a kind the order stays; kinds without a place are in the order of their names.
local function sorted(list, reverse)
  local result, at = {}, {}
  for i, entry in ipairs(list) do
    result[i], at[entry] = entry, i
  end
  sort(result, function(a, b)
    local kind_a, kind_b = a.object.kind, b.object.kind
    local rank_a, rank_b = rank(kind_a), rank(kind_b)
    if rank_a ~= rank_b then
      return (rank_a < rank_b) ~= (reverse or false)
    elseif kind_a ~= kind_b then
      return kind_a < kind_b
    end
    return at[a] < at[b]
  end)
  return result
end

return { read = read, sort = sorted, rank = rank }
