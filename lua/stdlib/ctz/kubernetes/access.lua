-- kubernetes/access.lua: whether the user of this client may do something.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API, authorization.k8s.io/v1 SelfSubjectAccessReview; kubectl auth can-i.
local check = require("ctz.options").check
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"

local type = type

local OP <const> = "kubernetes.can_i"

local access = {}

--- client:can_i(verb, kind, opts?) -> boolean, string|nil
--- May this user do that? The second result is the server's reason, when it gives one.
--- @async
--- @param verb string  get list watch create update patch delete deletecollection, or "*"
--- @param kind string  "pods", "deployments.apps"
--- @param opts.name? string  of this object only
--- @param opts.namespace? string  default: that of the client
--- @param opts.all_namespaces? boolean
--- @param opts.subresource? string  "exec", "log", "scale"
--- @return boolean
--- @return string|nil
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: kubectl auth can-i
function access.can_i(client, verb, kind, opts)
  opts = check(OP, opts, {
    all_namespaces = "boolean", name = "string", namespace = "string", subresource = "string",
  })
  if type(verb) ~= "string" or not verb:find "^[%l*]+$" then
    failure.usage(OP, "bad argument 'verb' to '%s': expected a verb such as \"list\"", OP)
  end
  local resource = discovery.find(client, kind, OP)
  local answer = client:call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
    op = OP,
    target = resource.name,
    reads = true,
    json = {
      apiVersion = "authorization.k8s.io/v1", kind = "SelfSubjectAccessReview",
      spec = {
        resourceAttributes = {
          verb = verb, group = resource.group, version = resource.version, resource = resource.name,
          subresource = opts.subresource, name = opts.name,
          namespace = resource.namespaced and not opts.all_namespaces and (opts.namespace or client.namespace) or nil,
        },
      },
    },
  })
  return answer.status.allowed, answer.status.reason
end

return access
