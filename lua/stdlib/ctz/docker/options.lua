-- docker/options.lua: the old name of ctz.options.
-- SPDX-License-Identifier: MIT
return require "ctz.options"
