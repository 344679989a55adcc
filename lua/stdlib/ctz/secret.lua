-- secret.lua: ctz.secret(text): a text that never prints.
-- SPDX-License-Identifier: MIT
return require("ctz.core.secret").secret
