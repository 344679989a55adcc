---@meta ctz.hash
-- Generated from the doc comments; do not edit.

---SHA-256 and SHA-512 of texts, of streams and of files.
---@class ctz.hash
local hash = {}

---@class ctz.hash.file.opts
---@field algorithm? "sha256"|"sha512"  default "sha256"
---@field timeout? ctz.seconds  default: what is left of the task's deadline

---The hash of a file's content as lower-case hex digits. It is read on the thread pool, in constant memory.
---@async
---@param path string
---@param opts? ctz.hash.file.opts
---@return string
function hash.file(path, opts) end

---A running hash, for content that comes in parts: `update` takes bytes, `digest` tells the hash of all that came so far.
---@param algorithm? "sha256"|"sha512"  default "sha256"
---@return ctz.hash.Stream
function hash.new(algorithm) end

---The SHA-256 of a text, as 64 lower-case hex digits. For files use ctz.hash.file, which lets other tasks run meanwhile.
---@param text string  any bytes
---@return string
function hash.sha256(text) end

---The SHA-512 of a text, as 128 lower-case hex digits.
---@param text string  any bytes
---@return string
function hash.sha512(text) end

---@class ctz.hash.Stream
local stream = {}

---The hash of all bytes so far, as lower-case hex digits. More may follow.
---@return string
function stream:digest() end

---Adds bytes; returns the stream, so that calls can be chained.
---@param text string
---@return ctz.hash.Stream
function stream:update(text) end

return hash
