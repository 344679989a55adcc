-- hash.lua: SHA-256 and SHA-512; all of it is in bindings/hash/hash.c.
-- SPDX-License-Identifier: MIT
return require "ctz.core.hash"
