-- json.lua: JSON; all of it is in bindings/data/json*.c.
-- SPDX-License-Identifier: MIT
return require("ctz.core.data").json
