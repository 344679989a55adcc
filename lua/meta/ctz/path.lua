---@meta ctz.path
-- Generated from the doc comments; do not edit.

---paths as texts. Nothing is looked up; absolute alone asks for the current folder.
---@class ctz.path
local path = {}

---The path seen from the root folder, normalized. A relative one begins in base.
---@param path string
---@param base? string  default: the current folder
---@return string
function path.absolute(path, base) end

---The last part, without the suffix when it ends with that.
---@param path string
---@param suffix? string
---@return string
function path.basename(path, suffix) end

---The folder that it lies in: "." when it names none.
---@param path string
---@return string
function path.dirname(path) end

---What follows the last dot of the name, with the dot; "" when there is none. A name that begins with its only dot has none.
---@param path string
---@return string
function path.extension(path) end

---Does it begin with a slash?
---@param path string
---@return boolean
function path.is_absolute(path) end

---Puts parts together with one slash between each two; empty ones are left out. A later part that begins with a slash stays below the first.
---@param part string
---@param ... any
---@return string
function path.join(part, ...) end

---Takes out double slashes, "." and, where it can be seen, "..". Links are not looked at: where they matter, use ctz.fs.realpath.
---@param path string
---@return string
function path.normalize(path) end

---The same place seen from base.
---@param path string
---@param base? string  a folder; default: the current one
---@return string
function path.relative(path, base) end

return path
