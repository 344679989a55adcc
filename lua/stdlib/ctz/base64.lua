-- base64.lua: base64; all of it is in bindings/data/base64.c.
-- SPDX-License-Identifier: MIT
return require("ctz.core.data").base64
