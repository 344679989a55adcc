-- hash.lua: SHA-256 and SHA-512 of texts, of streams and of files.
-- SPDX-License-Identifier: MIT
return require "ctz.core.hash"
