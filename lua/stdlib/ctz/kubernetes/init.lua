-- kubernetes: clusters from a recipe, as kubectl reaches them.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check

local rawset, require, setmetatable = rawset, require, setmetatable

-- Functions of the module, and the files that have them: loaded when first named.
local FUNCTIONS <const> = {
  configmap = "builders", cronjob = "builders", deployment = "builders", ingress = "builders", job = "builders",
  orchestrate = "orchestrate", quantity = "quantity", secret = "builders", selector = "selector", service = "builders",
}

local CONNECT <const> = {
  allow_contexts = "list", as = "string", as_groups = "list", as_uid = "string", context = "string",
  in_cluster = "boolean", kubeconfig = "string|list", namespace = "string", requests = "count", rps = "number",
  timeout = "seconds",
}

local kubernetes = {}

--- ctz.kubernetes.connect(opts?) -> ctz.kubernetes.Client
--- A cluster to work with, the one that kubectl would use: the files of KUBECONFIG, else ~/.kube/config,
--- else the pod that this runs in. Of several files the first that says something counts. Nothing is
--- sent yet, no credential plugin is run. Under --simulate it is a cluster in memory, one for each context,
--- and no kubeconfig is read. `ctz.k8s` is the same module.
--- @async
--- @param opts.kubeconfig? string|string[]  file, or files in the order of KUBECONFIG
--- @param opts.context? string  default: current-context
--- @param opts.namespace? string  default: that of the context, else "default"
--- @param opts.allow_contexts? string[]  refuse every other context: "staging", "dev-*"
--- @param opts.in_cluster? boolean  true: the service account of this pod, whatever files there are
--- @param opts.as? string  user to impersonate
--- @param opts.as_groups? string[]  groups to impersonate
--- @param opts.as_uid? string  uid to impersonate
--- @param opts.requests? integer  most at once, default 8
--- @param opts.rps? number  most a second after a burst of 300, default 100; 0: as many as come
--- @param opts.timeout? ctz.seconds  of each answer that is no stream; default 60
--- @return ctz.kubernetes.Client
--- @error not_found  there is no such file, context, cluster or user
--- @error usage  a file is no kubeconfig; the message has file and line
--- @error denied  allow_contexts does not name the context
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found" and err:is "kubernetes")
--- Api: client-go, tools/clientcmd
function kubernetes.connect(opts)
  opts = check("kubernetes.connect", opts, CONNECT)
  local simulated = require("ctz.kubernetes.simulate.stand_in").client(opts)
  if simulated then
    return simulated
  end
  local cluster = require("ctz.kubernetes.kubeconfig").load(opts)
  return require("ctz.kubernetes.client").new(cluster, opts)
end

return setmetatable(kubernetes, {
  __name = "ctz.kubernetes",
  __index = function(self, name)
    local file = FUNCTIONS[name]
    local value = file and require("ctz.kubernetes." .. file)[name]
    rawset(self, name, value)
    return value
  end,
})
