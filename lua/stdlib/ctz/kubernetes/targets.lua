-- kubernetes/targets.lua: what a call is about: "deployment/web", a kind and a name, or an object.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"

local ipairs, select, type = ipairs, select, type

local function check_namespace(op, namespace)
  if namespace ~= nil and not namespace:find "^[%w][%w.%-]*$" then
    failure.usage(op, "bad argument 'opts.namespace' to '%s': %q is no name", op, namespace:sub(1, 80))
  end
end

-- A name that the server would take as one part of a path.
local function check_name(op, name)
  if type(name) ~= "string" or name == "" or name == "." or name == ".." or name:find "[/%%%z]" or #name > 253 then
    failure.usage(op, "bad argument 'name' to '%s': %s is no name of an object", op,
      type(name) == "string" and ("%q"):format(name:sub(1, 80)) or "a " .. type(name))
  end
  return name
end

local function metadata_of(op, object)
  local metadata = object.metadata
  if type(metadata) ~= "table" then
    failure.usage(op, "bad argument 'object' to '%s': it has no metadata", op)
  end
  return metadata
end

-- The place of an object: {resource, name, namespace, shown}.
local function place(client, resource, name, namespace)
  if resource.namespaced then
    namespace = namespace or client.namespace
  else
    namespace = nil
  end
  return {
    resource = resource, name = name, namespace = namespace,
    shown = resource.singular .. (name and " " .. name or ""),
    path = function(_, subresource)
      return discovery.path(resource, namespace, name, subresource)
    end,
  }
end

-- of_object(client, op, object, opts) -> target. opts.namespace may not contradict the object's.
local function of_object(client, op, object, opts, needs_name)
  local metadata = metadata_of(op, object)
  local own = type(metadata.namespace) == "string" and metadata.namespace ~= "" and metadata.namespace or nil
  check_namespace(op, opts.namespace)
  if own and opts.namespace and own ~= opts.namespace then
    failure.usage(op, "the object's namespace is %s, the option's is %s", own, opts.namespace)
  end
  local resource = discovery.of(client, object, op)
  if metadata.name ~= nil or needs_name then
    check_name(op, metadata.name)
  end
  return place(client, resource, metadata.name, own or opts.namespace)
end

-- read(client, op, rules, subject, name, opts, ...) -> target, opts, ...: subject is "kind/name" or an
-- object, and what follows it moves up; or a kind, with its name behind.
local function read(client, op, rules, subject, name, ...)
  if type(subject) == "table" then
    local opts = check(op, name, rules)
    return of_object(client, op, subject, opts, true), opts, ...
  elseif type(subject) ~= "string" then
    failure.usage(op, "bad argument 'kind' to '%s': expected \"kind/name\", a kind and a name, or an object, got %s",
      op, type(subject))
  end
  local kind, behind = subject:match "^([^/]*)/(.*)$"
  if kind then
    local opts = check(op, name, rules)
    check_namespace(op, opts.namespace)
    check_name(op, behind)
    return place(client, discovery.find(client, kind, op), behind, opts.namespace), opts, ...
  end
  if type(name) ~= "string" then
    failure.usage(op, "'%s' needs a name: \"%s/NAME\", or the name behind the kind; client:list shows all", op, subject)
  end
  local opts = check(op, (...), rules)
  check_namespace(op, opts.namespace)
  check_name(op, name)
  return place(client, discovery.find(client, subject, op), name, opts.namespace), opts, select(2, ...)
end

-- collection(client, op, kind, opts) -> target without a name. opts: namespace, all_namespaces.
local function collection(client, op, kind, opts)
  check_namespace(op, opts.namespace)
  local target = place(client, discovery.find(client, kind, op), nil, opts.namespace)
  if opts.all_namespaces then
    if opts.namespace then
      failure.usage(op, "'%s' takes one of the options namespace and all_namespaces", op)
    end
    target.namespace = nil
    target.path = function()
      return discovery.path(target.resource)
    end
  end
  return target
end

-- What the server takes as a selector: a text as it is, {app = "web"} as app=web.
local function selector_text(op, option, value)
  if type(value) ~= "table" then
    return value
  end
  local parts = {}
  for _, name in ipairs(require("ctz.problems").sorted_keys(value)) do
    if type(name) ~= "string" or type(value[name]) ~= "string" then
      failure.usage(op, "bad argument 'opts.%s' to '%s': expected {name = \"value\"} or a selector's text", option, op)
    end
    parts[#parts + 1] = name .. "=" .. value[name]
  end
  return table.concat(parts, ",")
end

return { read = read, of_object = of_object, collection = collection, selector_text = selector_text,
  check_name = check_name }
