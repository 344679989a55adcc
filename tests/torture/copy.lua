-- An image from layout to archive to layout, gone on with, opened; a damaged one.
local ctz = require "ctz"
local dir <close> = ctz.fs.tempdir()
local made = ctz.image.assemble {
  layers = { { files = { ["/a"] = { text = ("a"):rep(300000) } } } }, to = ("oci:%s/one:1"):format(dir),
}
local progress = { on_progress = function() end }
ctz.registry.copy(made.name, ("oci-archive:%s/a.tar:1"):format(dir), progress)
ctz.fs.mkdir(dir .. "/two/blobs/sha256", { parents = true })
ctz.fs.copy(dir .. "/one/oci-layout", dir .. "/two/oci-layout")
local layer = made.layers[1].digest:sub(8)
local bytes = ctz.fs.read(("%s/one/blobs/sha256/%s"):format(dir, layer))
ctz.fs.write(("%s/two/blobs/sha256/.ctz-part-%s"):format(dir, layer), bytes:sub(1, 100))
local done = ctz.registry.copy(("oci-archive:%s/a.tar:1"):format(dir), ("oci:%s/two:1"):format(dir), progress)
assert(done.digest == made.digest and done.resumed == 1)
assert(ctz.image.open(("oci:%s/two:1"):format(dir)):size() == made.size_bytes)
ctz.fs.write(("%s/one/blobs/sha256/%s"):format(dir, layer), ("b"):rep(#bytes))
local _, err = ctz.try(ctz.registry.copy, made.name, ("oci:%s/three:1"):format(dir), progress)
assert(err.kind == "digest", err)
