-- kubernetes/asking.lua: what all requests about objects have in common.
-- SPDX-License-Identifier: MIT
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"

local error, ipairs, pcall, type = error, ipairs, pcall, type

local asking = {}

-- Names the object in the errors of a request.
function asking.with_target(opts, op, target)
  opts.op, opts.target = op, target.shown
  return opts
end

-- client:call; a name that is not there is not always missing: its hint names the nearest that is.
function asking.call(client, method, target, opts)
  local done, value, status = pcall(client.call, client, method, target:path(opts.subresource), opts)
  if done then
    return value, status
  end
  if type(value) == "table" and value.status == 404 and not value.reason then
    discovery.forget(client)
  elseif method == "GET" and target.name and type(value) == "table" and value.kind == "not_found"
    and not value.hint then
    local listed, list = pcall(client.call, client, "GET", discovery.path(target.resource, target.namespace), {
      op = opts.op, query = { limit = 200 }, retry = false,
      accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
    })
    local names = {}
    for i, one in ipairs(listed and type(list) == "table" and type(list.items) == "table" and list.items or {}) do
      names[i] = one.metadata.name
    end
    local near = #names > 0 and require("ctz.core.host").nearest(target.name, names)
    value.hint = near and ("did you mean %q?"):format(near)
      or target.namespace and ("it was looked for in the namespace %s"):format(target.namespace) or nil
  end
  error(value, 0)
end

-- One of the names of choices -> what it stands for
function asking.choice(op, option, value, choices)
  if value ~= nil and not choices[value] then
    local names = require("ctz.problems").sorted_keys(choices)
    failure.usage(op, "bad argument 'opts.%s' to '%s': expected one of %s, got %q", option, op,
      table.concat(names, ", "), value)
  end
  return choices[value]
end

return asking
