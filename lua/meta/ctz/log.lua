---@meta ctz.log
-- Generated from the doc comments; do not edit.

---what a recipe says about itself, on stderr.
---@class ctz.log
local log = {}

---Writes a line that only --debug shows.
---@param message string
---@param fields? table  names and values that belong to it, shown as name=value
function log.debug(message, fields) end

---As ctz.log.warn for a failure that the recipe survives; what it does not survive is raised.
---@param message string
---@param fields? table  an error value may be among them
function log.error(message, fields) end

---Writes a line to stderr, with the time and the task: for people as "12:34:56.789 info  message name=value", with --progress json as a JSON object. Not with --quiet. Secrets are masked, control characters made visible.
---@param message string
---@param fields? table  names and values that belong to it
function log.info(message, fields) end

---As ctz.log.info for what somebody should look at; --quiet shows it too.
---@param message string
---@param fields? table
function log.warn(message, fields) end

return log
