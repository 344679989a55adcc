---@meta ctz.yaml
-- Generated from the doc comments; do not edit.

---YAML; all of it is in bindings/data/yaml*.c.
---@class ctz.yaml
local yaml = {}

---@class ctz.yaml.decode.opts
---@field schema? "core"|"k8s"  default: "core"
---@field strict? boolean  k8s: refuse keys that stand twice
---@field big? "error"|"float"  integers beyond 64 bits: refuse (default) or round
---@field name? string  what messages call the text: a file name

---Reads one YAML document. Mappings become tables with string keys, sequences lists that are marked as in ctz.json, null is `ctz.json.null`; an empty text is null. An alias gives a copy. Schema "core" is YAML 1.2: `no` and `1_000` are strings, `012` is 12, `0o14` is 12, keys are as written, keys that stand twice are refused, tags other than YAML's own are refused. Schema "k8s" reads what kubectl reads: `no` is false, `014` is 12, `<<` merges, numbers and keys become what JSON has, tags of others are passed over, and of keys that stand twice the last one counts unless strict is set.
---@param text string
---@param opts? ctz.yaml.decode.opts
---@return any
function yaml.decode(text, opts) end

---Reads all documents of a YAML text, with the options of ctz.yaml.decode. With schema "k8s", documents that hold nothing are passed over, as kubectl does.
---@param text string
---@param opts? table
---@return any[]
function yaml.decode_all(text, opts) end

---@class ctz.yaml.encode.opts
---@field schema? "core"|"k8s"  "k8s" refuses NaN and infinity; default: "core"

---Writes a value as a YAML document in block style, keys in the order of their bytes. Both schemas (and YAML 1.1) read the same strings back: what could be taken for something else is quoted. Tables are taken as in ctz.json.encode; a secret is written as "***".
---@param value any
---@param opts? ctz.yaml.encode.opts
---@return string
function yaml.encode(value, opts) end

return yaml
