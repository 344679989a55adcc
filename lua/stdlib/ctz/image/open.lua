-- image/open.lua: an image, wherever it is, as one object.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local clients_of = require "ctz.registry.clients"
local document = require "ctz.image.document"
local fs = require "ctz.fs"
local json = require "ctz.json"
local places = require "ctz.image.source"
local transfer = require "ctz.image.source.transfer"

local error, ipairs, pcall, setmetatable, type = error, ipairs, pcall, setmetatable, type
local fail = document.fail

local CONFIG_BYTES <const> = 4 << 20

-- What failed behind a door is told as a failure of this function.
local function named(op, fn, ...)
  local function pass(ok, ...)
    if ok then
      return ...
    end
    local err = ...
    if type(err) == "table" and err.kind and err.kind ~= "cancelled" then
      err.op = op
    end
    error(err, 0)
  end
  return pass(pcall(fn, ...))
end

local Image = { __name = "ctz.image" }
Image.__index = Image

-- The manifest of one platform. Indexes may stand in indexes: what the outer one names itself comes first.
local function find_platform(self, wanted)
  local current = self.root
  for _ = 1, document.NESTING do
    if current.kind ~= "index" then
      return current
    end
    local child = document.choose(current.json.manifests, wanted)
    if not child then
      local leaves = document.leaves(self.place, current.json.manifests, self.ref)
      child = document.choose(leaves, wanted) or document.no_platform(leaves, wanted, self.ref)
    end
    current = self.place:manifest(child)
  end
  fail("protocol", self.ref, ("indexes in indexes, more than %d deep"):format(document.NESTING))
end

local function select(self, op, opts)
  opts = check(op, opts, { platform = "string" })
  local name = opts.platform or document.own_platform()
  local wanted = document.read_platform(name)
  if self.root.kind ~= "index" then
    return self.root -- it is for one platform, whichever that is
  end
  self.chosen[name] = self.chosen[name] or find_platform(self, wanted)
  return self.chosen[name]
end

--- image:manifest(opts?) -> table
--- The manifest of one platform as it is written, with the list `layers` and the table `config`. Second and
--- third result: its digest, and its bytes.
--- @async
--- @param opts.platform? string  "linux/arm64"; default: this machine's
--- @return table, string, string
--- @error not_found  it has no image for that platform; the hint names those it has
--- @error digest     the content is not what its digest says
--- @error protocol   it is no manifest
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out"}
--- @example local manifest, digest = ctz.image.open("oci:out"):manifest()
--- @example assert(#manifest.layers == 1 and digest:find "^sha256:")
function Image:manifest(opts)
  local manifest = named("image.manifest", select, self, "image.manifest", opts)
  return manifest.json, manifest.digest, manifest.bytes
end

-- config_of(place, manifest) -> the config as a table, its digest, its bytes.
local function config_of(place, manifest)
  local descriptor = manifest.json.config
  if not descriptor or descriptor.size > CONFIG_BYTES then
    fail("size", place.ref, descriptor and ("a config of %d bytes"):format(descriptor.size) or "it has no config")
  end
  local reader = place:read_blob(descriptor, 0)
  local bytes = transfer.read_all(reader, CONFIG_BYTES)
  document.verify(bytes, descriptor, place.ref)
  local ok, config = pcall(json.decode, bytes)
  if not ok or type(config) ~= "table" then
    fail("protocol", place.ref, "its config is no JSON object")
  end
  return config, descriptor.digest, bytes
end

local function read_config(self, op, opts)
  return config_of(self.place, select(self, op, opts))
end

--- image:config(opts?) -> table
--- The image's config as it is written: {architecture=, os=, config={Env=, Cmd=, ...}, rootfs=, history=}.
--- Second and third result: its digest, and its bytes.
--- @async
--- @param opts.platform? string  default: this machine's
--- @return table, string, string
--- @error not_found  it has no image for that platform
--- @error digest     the content is not what its digest says
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, config={user="1000"}, to="oci:out"}
--- @example assert(ctz.image.open("oci:out"):config().config.User == "1000")
function Image:config(opts)
  return named("image.config", read_config, self, "image.config", opts)
end

--- image:layers(opts?) -> table[]
--- The layers of one platform, the lowest first: {digest=, size_bytes=, media_type=, annotations=, urls=}.
--- @async
--- @param opts.platform? string  default: this machine's
--- @return {digest: string, size_bytes: integer, media_type: string}[]
--- @error not_found  it has no image for that platform
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out"}
--- @example assert(ctz.image.open("oci:out"):layers()[1].media_type:find "tar%+gzip$")
function Image:layers(opts)
  local manifest = named("image.layers", select, self, "image.layers", opts)
  local layers = {}
  for i, layer in ipairs(manifest.json.layers) do
    layers[i] = {
      digest = layer.digest,
      size_bytes = layer.size,
      media_type = layer.mediaType,
      annotations = layer.annotations,
      urls = layer.urls,
    }
  end
  return layers
end

--- image:digest(opts?) -> string
--- The digest of what the name means: of the index, when it is for several platforms. With a platform that
--- of its manifest.
--- @async
--- @param opts.platform? string
--- @return string
--- @error not_found  it has no image for that platform
--- @example local made = ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out"}
--- @example assert(ctz.image.open("oci:out"):digest() == made.digest)
function Image:digest(opts)
  if type(opts) == "table" and opts.platform then
    return named("image.digest", select, self, "image.digest", opts).digest
  end
  check("image.digest", opts, { platform = "string" })
  return self.root.digest
end

--- image:size(opts?) -> integer
--- The bytes of one platform as they are stored and moved: manifest, config and layers, each once.
--- @async
--- @param opts.platform? string  default: this machine's
--- @return ctz.bytes
--- @error not_found  it has no image for that platform
--- @example local made = ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out"}
--- @example assert(ctz.image.open("oci:out"):size() == made.size_bytes)
function Image:size(opts)
  local manifest = named("image.size", select, self, "image.size", opts)
  local config = manifest.json.config
  local size, seen = #manifest.bytes + (config and config.size or 0), {}
  for _, layer in ipairs(manifest.json.layers) do
    size = size + (seen[layer.digest] and 0 or layer.size)
    seen[layer.digest] = true
  end
  return size
end

--- image:platforms() -> table[]
--- The platforms it has: {platform="linux/arm64", digest=}, in the order of its index, and of those within it.
--- What is no image, such as attestations, is left out.
--- @async
--- @return {platform: string, digest: string}[]
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out", platform="linux/arm64"}
--- @example assert(ctz.image.open("oci:out"):platforms()[1].platform == "linux/arm64")
function Image:platforms()
  local list = {}
  if self.root.kind == "index" then
    for _, descriptor in ipairs(document.leaves(self.place, self.root.json.manifests, self.ref)) do
      local name = document.format_platform(descriptor.platform)
      list[#list + 1] = name and { platform = name, digest = descriptor.digest } or nil
    end
    return list
  end
  local name = document.format_platform((self:config()))
  list[1] = name and { platform = name, digest = self.root.digest } or nil
  return list
end

-- The tree of one platform's layers. It is kept until what came from elsewhere for it is gone.
local function tree_of(self, op, opts)
  local files = require "ctz.image.files"
  local manifest = select(self, op, opts)
  local kept = self.trees[manifest.digest]
  if not kept or kept.dir and not fs.exists(kept.dir.path) then
    kept = {}
    kept.tree, kept.dir = files.squash(self.place, manifest.json.layers, (read_config(self, op, opts)))
    self.trees[manifest.digest] = kept
  end
  return kept.tree
end

--- image:files(opts?) -> fun(): ctz.image.File|nil
--- The files of one platform as a container would see them: an iterator over the tree that the layers make,
--- sorted by path. All layers are read for it, side by side, and compared with their digests. Each file is
--- {path="/etc/passwd", type="file", layer=1, size_bytes=, mode=, uid=, gid=, mtime=}. type is "file", "dir",
--- "link", "device" or "fifo"; layer counts from the lowest and is the one it comes from; link is where a
--- link points, hardlink the path that has the same content, xattrs a map of extended attributes.
--- @async
--- @param opts.platform? string  default: this machine's
--- @return fun(): ctz.image.File|nil
--- @error not_found   it has no image for that platform, or a layer is missing
--- @error digest      a layer is not what its digest says
--- @error protocol    a layer is no whole tar, leads out of the image, or has a hard link to nothing
--- @error size        more than tar_entries, expansion_ratio or zstd_window_bytes allow
--- @error unsupported a layer is packed otherwise than with gzip or zstd
--- @example ctz.image.assemble{layers={{files={["/etc/motd"]={text="hi"}}}}, to="oci:out"}
--- @example local paths = {}
--- @example for file in ctz.image.open("oci:out"):files() do paths[#paths + 1] = file.path end
--- @example assert(table.concat(paths, " ") == "/etc /etc/motd")
function Image:files(opts)
  local tree = named("image.files", tree_of, self, "image.files", opts)
  return require("ctz.image.files").iterate(tree)
end

--- image:read(path, opts?) -> string
--- The content of one file, with links followed: absolute ones too lead to places in the image.
--- @async
--- @param path string
--- @param opts.platform? string  default: this machine's
--- @return string
--- @error not_found there is no such file in the image
--- @error conflict  it is a folder, a device or a fifo
--- @error size      it is larger than the limit file_bytes
--- @error protocol  too many links
--- @example ctz.image.assemble{layers={{files={["/etc/motd"]={text="hi"}, ["/m"]={link="/etc/motd"}}}}, to="oci:out"}
--- @example assert(ctz.image.open("oci:out"):read "/m" == "hi")
function Image:read(path, opts)
  return named("image.read", function()
    return require("ctz.image.files").read(tree_of(self, "image.read", opts), path)
  end)
end

--- image:extract(folder, opts?) -> table
--- Writes the files as a container would see them below a folder, which is made when it is missing. Nothing
--- outside of it is written to, whatever the layers say. The files belong to who runs this, without setuid
--- and setgid, unless keep_owner says otherwise. Devices are not made: skipped lists them. The result is
--- {files=, bytes=, skipped={"/dev/null", ...}}.
--- @async
--- @param folder string
--- @param opts.platform? string  default: this machine's
--- @param opts.keep_owner? boolean  owners, setuid and setgid as in the image; needs root
--- @return {files: integer, bytes: ctz.bytes, skipped: string[]}
--- @error not_found it has no image for that platform, or a layer is missing
--- @error digest    a layer is not what its digest says
--- @error protocol  something in the folder is a link on the way, or a layer leads out
--- @error io        the disk is full, or fails
--- @example ctz.image.assemble{layers={{files={["/etc/motd"]={text="hi"}}}}, to="oci:out"}
--- @example ctz.image.open("oci:out"):extract "root"
--- @example assert(ctz.fs.read "root/etc/motd" == "hi")
function Image:extract(folder, opts)
  return named("image.extract", function()
    opts = check("image.extract", opts, { platform = "string", keep_owner = "boolean" })
    local tree = tree_of(self, "image.extract", { platform = opts.platform })
    return require("ctz.image.files").extract(tree, folder, opts)
  end)
end

--- image:mutate(opts) -> table
--- Makes another image of this one and writes it to any place. What is not named stays as it is: layers that
--- are not touched keep their bytes and digests. In maps, and for cmd, entrypoint, user, workdir and ports,
--- false removes. The same image and options give the same digest; times are `created`, SOURCE_DATE_EPOCH, or
--- those that the image has. In this order: rebase, strip, append, flatten, recompress.
---
--- rebase = {from=, to=} puts the layers above the base `from` onto the base `to`. strip is a list of paths;
--- what is at them or below goes from every layer, and content that hard links elsewhere still need stays.
--- append is a list of layers as ctz.image.assemble takes them. flatten makes one layer of all. recompress
--- packs what is not packed that way.
--- @async
--- @param opts.to string  "oci:DIR:TAG", the image's own layout too; or as the target of ctz.registry.copy
--- @param opts.env? table<string, string|false>
--- @param opts.labels? table<string, string|false>
--- @param opts.annotations? table<string, string|false>  of the manifest
--- @param opts.cmd? string[]|false
--- @param opts.entrypoint? string[]|false  without cmd the image has none afterwards: it was for the old one
--- @param opts.user? string|false
--- @param opts.workdir? string|false
--- @param opts.ports? table|false  {8080, "53/udp"}, added to those that are there
--- @param opts.created? integer  seconds since 1970
--- @param opts.rebase? {from: string, to: string}
--- @param opts.strip? string[]
--- @param opts.append? table[]
--- @param opts.flatten? boolean
--- @param opts.recompress? "gzip"|"zstd"
--- @param opts.platform? string  default: this machine's
--- @return {name: string, digest: string, config_digest: string, layers: table[], size_bytes: ctz.bytes}
--- @error usage     an option is wrong; all that is wrong is told at once
--- @error conflict  the image does not stand on rebase.from
--- @error digest    a layer that is read is not what its digest says
--- @error io        the disk is full, or fails; what stood in the layout before is intact
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out:1"}
--- @example local made = ctz.image.open("oci:out:1"):mutate{labels={team="web"}, to="oci:out:2"}
--- @example assert(ctz.image.open("oci:out:2"):config().config.Labels.team == "web")
function Image:mutate(opts)
  return named("image.mutate", function()
    return require("ctz.image.mutate").mutate(self, opts)
  end)
end

--- image:close()
--- Ends what is open for it. Without it that ends with the image.
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out"}
--- @example local image <close> = ctz.image.open("oci:out") assert(image:size() > 0)
function Image:close()
  self.place:close()
end

Image.__close = Image.close

local function resolve(place)
  local descriptor, hint = place:resolve()
  if not descriptor then
    fail("not_found", place.ref, ("there is no image %s"):format(place.ref), hint)
  end
  return place:manifest(descriptor)
end

-- The place and the document that a reference means.
local function open_root(ref, clients)
  local place = places.open(ref, false, clients)
  local ok, root = pcall(resolve, place)
  if not ok then
    place:close()
    error(root, 0)
  end
  return place, root
end

--- ctz.image.open(ref, opts?) -> ctz.image
--- An image, wherever it is, as one object: in a layout (oci:DIR:TAG), an archive (docker-archive:FILE:NAME,
--- oci-archive:FILE:TAG), an engine (docker:NAME) or a registry (HOST/NAME:TAG, NAME@DIGEST). Its manifest,
--- config and layers are read when they are asked for, and compared with their digests. An archive that is packed
--- with gzip or zstd as a whole is unpacked into a temporary file until it is closed. rootfs:DIR is a folder
--- as an image of one layer, for this machine's platform, as ctz.image.assemble makes it: owners are 0:0, modes
--- 0644 and 0755, times SOURCE_DATE_EPOCH or 0, so the same files have the same digest.
--- @async
--- @param ref string
--- @param opts.registries? table<string, table>  how registries are reached: {["host:5000"]={auth=, tls=, http=,
---   mirrors=, rps=, connections=}}, as for ctz.registry.connect, or a client of it
--- @return ctz.image
--- @error usage        the reference is none
--- @error not_found    there is no such image; the hint names those that are there
--- @error digest       the content is not what its digest says
--- @error size         the manifest is over the limit manifest_bytes
--- @error protocol     what is there is no manifest, or two kinds at once
--- @error unsupported  a manifest of schema 1, an archive that bzip2 packed, a layout of another version
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:out:1.0"}
--- @example local image = ctz.image.open("oci:out:1.0")
--- @example assert(image:digest() and #image:layers() == 1)
local function open(ref, opts)
  opts = check("image.open", opts, { registries = "table" })
  local clients = clients_of.new("image.open", opts.registries)
  local place, root = named("image.open", open_root, ref, clients)
  return setmetatable({ ref = ref, place = place, root = root, chosen = {}, trees = {}, clients = clients }, Image)
end

return {
  open = open, named = named, resolve = resolve, find_platform = find_platform, config_of = config_of,
}
