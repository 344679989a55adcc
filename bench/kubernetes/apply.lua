-- apply.lua FILE NAMESPACE: server-side apply of the manifests in a file; prints how many were made.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local file, namespace = ...

print(ctz.kubernetes.connect{ namespace = namespace }:apply(file).created)
