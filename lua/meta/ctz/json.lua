---@meta ctz.json
-- Generated from the doc comments; do not edit.

---JSON; all of it is in bindings/data/json*.c.
---@class ctz.json
local json = {}

---Marks a table as a list, so that it is written as `[]` when it is empty; returns the same table. A table with items 1 to n is a list without any mark, and lists that were decoded are marked.
---@param t? table  default: a new one
---@return table
function json.array(t) end

---@class ctz.json.decode.opts
---@field big? "error"|"float"  integers beyond 64 bits: refuse (default) or round
---@field name? string  what messages call the text: a file name
---@field from? integer  where one value begins; other text may follow it

---Reads one JSON text (RFC 8259, nothing beyond it). Integers are exact and stay integers, lists are marked so that an empty one is written as `[]` again, null is `ctz.json.null`: a value that is neither nil nor false, so compare with it. What would lose something is refused: keys that stand twice, integers beyond 64 bits, text that is not UTF-8, a byte order mark.
---@param text string
---@param opts? ctz.json.decode.opts
---@return any
---@return integer # next  with `from`: the place behind the value
function json.decode(text, opts) end

---@class ctz.json.encode.opts
---@field indent? integer  spaces per level; default: all on one line
---@field utf8? "strict"|"replace"  bytes that are not UTF-8: refuse (default) or U+FFFD

---Writes a value as JSON, keys in the order of their bytes. A table with items 1 to n is a list, one with string keys an object, an empty one `{}` unless it is marked (see ctz.json.array). Tables are read raw: metamethods are not called. A float keeps its point (4 / 2 is 2.0, which Go refuses for an integer; 4 // 2 is 2). A secret is written as "***".
---@param value any
---@param opts? ctz.json.encode.opts
---@return string
function json.encode(value, opts) end

---Would encode write this value as a list? True for tables that are marked as one, and for tables without a mark that have an item 1.
---@param value any
---@return boolean
function json.is_array(value) end

---The null of JSON and YAML: one value, which differs from nil (absent) and prints as "null". Lua counts it as true, so compare with it. It is the null of lua-cjson too.
---@type userdata
json.null = nil

---Marks a table as an object; returns the same table. An empty table is written as `{}` without any mark; a marked one is refused by encode once it holds list items.
---@param t? table  default: a new one
---@return table
function json.object(t) end

return json
