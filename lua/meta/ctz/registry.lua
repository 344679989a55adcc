---@meta ctz.registry
-- Generated from the doc comments; do not edit.

---registries, and what of them needs no connection.
---@class ctz.registry
local registry = {}

registry.credentials = {}

---Who the user is at a registry: from config.json of docker (auths, credHelpers, credsStore), then from auth.json of podman and skopeo, as docker login and podman login wrote them. Nil when nobody is logged in there.
---@async
---@param host string  "ghcr.io", "localhost:5000", "docker.io"; "ghcr.io/owner/name" finds also what auth.json keeps for a part of a registry
---@return {username: string?, password: ctz.secret?, identity_token: ctz.secret?}?
function registry.credentials.get(host) end

registry.reference = {}

---@class ctz.registry.reference.format.opts
---@field familiar? boolean  true: the short form, without docker.io/ and library/

---The text of a reference from its parts; parse reads it back.
---@param parts {domain: string?, path: string, tag: string?, digest: string?}  without a domain: docker.io
---@param opts? ctz.registry.reference.format.opts
---@return string
function registry.reference.format(parts, opts) end

---@class ctz.registry.reference.parse.opts
---@field default_tag? boolean  true: with neither tag nor digest the tag is "latest"

---The parts of an image's name in a registry, as Docker reads it: without a host it is on docker.io, and a single word is in library/ there. The result prints as the full name.
---@param text string  "alpine", "ghcr.io/owner/name:1.2", "localhost:5000/a/b@sha256:..."
---@param opts? ctz.registry.reference.parse.opts
---@return {domain: string, path: string, tag: string?, digest: string?}
function registry.reference.parse(text, opts) end

return registry
