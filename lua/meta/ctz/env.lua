---@meta ctz.env
-- Generated from the doc comments; do not edit.

---the environment: ctz.env.HOME, pairs(ctz.env).
---@class ctz.env
local env = {}

---The value of a variable of the environment, nil when it is not set. pairs(ctz.env) goes over all that the run may see. It cannot be changed: programs get what they need by the option env.
---@type string|nil
env.NAME = nil

return env
