---@meta ctz.ignore
-- Generated from the doc comments; do not edit.

---.dockerignore patterns.
---@class ctz.ignore
local ignore = {}

---Reads the patterns of an ignore file as Docker's builders do (moby/patternmatcher): `**`, `!`, classes, escapes, comments, leading slashes, the quirks included.
---@param lines string|string[]  the text of a .dockerignore, or its lines
---@param name? string  of the file, for errors; default "ignore"
---@return ctz.ignore.Matcher
function ignore.compile(lines, name) end

---@class ctz.ignore.Matcher
local matcher = {}

---Is the path left out, by a pattern that matches it or a folder above it?
---@param path string  relative to the folder of the ignore file
---@return boolean
function matcher:match(path) end

return ignore
