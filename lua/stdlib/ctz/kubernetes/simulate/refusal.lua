-- kubernetes/simulate/refusal.lua: how a simulated API server refuses: Status objects in the server's words.
-- SPDX-License-Identifier: MIT
-- Source: k8s.io/apimachinery, pkg/api/errors/errors.go.
local new_error = require("ctz.core.task").error

local error, getmetatable, ipairs, setmetatable, type = error, getmetatable, ipairs, setmetatable, type
local concat, format = table.concat, string.format

local Refusal = {}

local refusal = {}

-- Answers with a Status of this code. details: name, group, kind, uid, causes; more: fields of its metadata.
function refusal.refuse(code, reason, message, details, more)
  error(setmetatable({
    apiVersion = "v1", kind = "Status", metadata = more or {}, status = "Failure", message = message, reason = reason,
    details = details, code = code,
  }, Refusal), 0)
end

-- The Status of what was raised by it, nil of all else.
function refusal.status_of(value)
  return type(value) == "table" and getmetatable(value) == Refusal and value or nil
end

function refusal.unsupported(what, hint)
  error(new_error {
    kind = "unsupported",
    message = ("the simulated cluster does not model %s"):format(what),
    hint = hint or "such a test needs a real cluster: run it without --simulate",
  }, 0)
end

-- "deployments.apps", "configmaps"
local function plural_of(resource)
  return resource.group == "" and resource.name or resource.name .. "." .. resource.group
end

local function details_of(resource, name, causes)
  return {
    name = name, group = resource.group ~= "" and resource.group or nil, kind = resource.name, causes = causes,
  }
end

function refusal.not_found(resource, name)
  refusal.refuse(404, "NotFound", format('%s "%s" not found', plural_of(resource), name), details_of(resource, name))
end

function refusal.no_resource()
  refusal.refuse(404, "NotFound", "the server could not find the requested resource", {})
end

function refusal.exists(resource, name)
  refusal.refuse(409, "AlreadyExists", format('%s "%s" already exists', plural_of(resource), name),
    details_of(resource, name))
end

function refusal.conflict(resource, name, why)
  refusal.refuse(409, "Conflict", format('Operation cannot be fulfilled on %s "%s": %s', plural_of(resource), name,
    why), details_of(resource, name))
end

function refusal.changed(resource, name)
  refusal.conflict(resource, name,
    "the object has been modified; please apply your changes to the latest version and try again")
end

function refusal.forbidden(resource, name, why, causes)
  refusal.refuse(403, "Forbidden", format('%s "%s" is forbidden: %s', plural_of(resource), name, why),
    details_of(resource, name, causes))
end

function refusal.bad_request(text, ...)
  refusal.refuse(400, "BadRequest", format(text, ...))
end

function refusal.no_method()
  refusal.refuse(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
end

-- problems: list of {field, reason, message}; none: nothing happens.
function refusal.check(resource, name, problems)
  if #problems == 0 then
    return
  end
  local texts, causes = {}, {}
  for i, one in ipairs(problems) do
    texts[i] = one[1] .. ": " .. one[3]
    causes[i] = { field = one[1], reason = one[2], message = one[3] }
  end
  local kind = resource.group == "" and resource.kind or resource.kind .. "." .. resource.group
  local all = #texts == 1 and texts[1] or "[" .. concat(texts, ", ") .. "]"
  refusal.refuse(422, "Invalid", format('%s "%s" is invalid: %s', kind, name or "", all), {
    name = name, group = resource.group ~= "" and resource.group or nil, kind = resource.kind, causes = causes,
  })
end

refusal.plural_of = plural_of

return refusal
