---@meta ctz.base64
-- Generated from the doc comments; do not edit.

---base64; all of it is in bindings/data/base64.c.
---@class ctz.base64
local base64 = {}

---@class ctz.base64.decode.opts
---@field url? boolean  the alphabet for URLs; padding may then be absent

---Reads base64 back to bytes. Line breaks are skipped; any other foreign character, wrong padding and stray bits at the end are refused.
---@param text string
---@param opts? ctz.base64.decode.opts
---@return string
function base64.decode(text, opts) end

---@class ctz.base64.encode.opts
---@field url? boolean  the alphabet for URLs and file names: '-' and '_'
---@field pad? boolean  '=' at the end; default: true

---Writes any bytes as base64 on one line.
---@param bytes string
---@param opts? ctz.base64.encode.opts
---@return string
function base64.encode(bytes, opts) end

return base64
