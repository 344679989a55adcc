-- ignore.lua: .dockerignore patterns.
-- SPDX-License-Identifier: MIT
return { compile = require("ctz.core.context").compile }
