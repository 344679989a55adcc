-- Archives that are packed as a whole, damaged ones, digests of sha512, layers of zstd into an archive for Docker.
local ctz = require "ctz"
local dir <close> = ctz.fs.tempdir()
local quiet = { on_progress = function() end }
local function to(rest)
  return ("oci:%s/%s"):format(dir, rest)
end

-- gzip without packing: stored blocks. No program is started.
local function stored(bytes)
  local parts = { "\31\139\8\0\0\0\0\0\0\3" }
  for at = 1, #bytes, 65535 do
    local part = bytes:sub(at, at + 65534)
    parts[#parts + 1] = string.pack("<BI2I2", at + 65535 > #bytes and 1 or 0, #part, ~#part & 0xffff) .. part
  end
  local crc = 0xffffffff
  for byte in bytes:gmatch "." do
    crc = crc ~ byte:byte()
    for _ = 1, 8 do
      crc = crc & 1 == 1 and crc >> 1 ~ 0xedb88320 or crc >> 1
    end
  end
  return table.concat(parts) .. string.pack("<I4I4", crc ~ 0xffffffff, #bytes)
end

local made = ctz.image.assemble {
  layers = { { files = { ["/a"] = { text = "a" } } } }, to = to "one:1", compression = "zstd",
}
local done = ctz.registry.copy(made.name, ("docker-archive:%s/d.tar:web:1"):format(dir), quiet)
assert(done.recompressed == 1 and done.source_digest == made.digest)
local packed = stored(ctz.fs.read(dir .. "/d.tar"))
ctz.fs.write(dir .. "/d.tar.gz", packed)
do
  local image <close> = ctz.image.open(("docker-archive:%s/d.tar.gz:web:1"):format(dir))
  assert(image:read "/a" == "a" and image:digest() == done.digest)
end
assert(ctz.registry.copy(("docker-archive:%s/d.tar.gz"):format(dir), to "two:1", quiet).digest == done.digest)
ctz.fs.write(dir .. "/d.tar.gz", packed:sub(1, -5))
local _, err = ctz.try(ctz.image.open, ("docker-archive:%s/d.tar.gz"):format(dir))
assert(err.kind == "protocol", err)

ctz.fs.mkdir(dir .. "/long/blobs/sha512", { parents = true })
ctz.fs.write(dir .. "/long/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
local function blob(bytes, media_type)
  local digest = ctz.hash.sha512(bytes)
  ctz.fs.write(("%s/long/blobs/sha512/%s"):format(dir, digest), bytes)
  return { mediaType = media_type, digest = "sha512:" .. digest, size = #bytes }
end
local layer = blob(("x"):rep(300000), "application/vnd.oci.image.layer.v1.tar")
local manifest = ctz.json.encode {
  schemaVersion = 2, mediaType = "application/vnd.oci.image.manifest.v1+json",
  config = blob("{}", "application/vnd.oci.image.config.v1+json"), layers = { layer },
}
local one = blob(manifest, "application/vnd.oci.image.manifest.v1+json")
ctz.fs.write(dir .. "/long/index.json", ctz.json.encode { schemaVersion = 2, manifests = { one } })
local copied = ctz.registry.copy(to "long", to "other:1", { verify = true, on_progress = quiet.on_progress })
assert(copied.digest == one.digest)
local part = ("%s/other/blobs/sha512/"):format(dir)
ctz.fs.write(part .. ".ctz-part-" .. layer.digest:sub(8), ("x"):rep(1000))
ctz.fs.remove(part .. layer.digest:sub(8))
assert(ctz.registry.copy(to "long", to "other:1", quiet).resumed == 1)
