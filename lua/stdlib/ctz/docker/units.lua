-- docker/units.lua: the old name of ctz.units.
-- SPDX-License-Identifier: MIT
return require "ctz.units"
