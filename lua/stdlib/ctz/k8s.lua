-- ctz.k8s: another name of ctz.kubernetes.
-- SPDX-License-Identifier: MIT
return require "ctz.kubernetes"
