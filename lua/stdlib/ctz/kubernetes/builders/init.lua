-- kubernetes/builders: manifests from short descriptions, without a cluster.
-- SPDX-License-Identifier: MIT
local configmap = require "ctz.kubernetes.builders.configmap"
local job = require "ctz.kubernetes.builders.job"

return {
  configmap = configmap.configmap,
  cronjob = job.cronjob,
  deployment = require("ctz.kubernetes.builders.deployment").deployment,
  ingress = require("ctz.kubernetes.builders.ingress").ingress,
  job = job.job,
  secret = configmap.secret,
  service = require("ctz.kubernetes.builders.service").service,
}
