-- image_analyze_spec.lua: what an image is made of.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

describe("ctz.image.analyze", function()
  local folder, ref

  before_each(function()
    folder = ctz.fs.tempdir()
    ref = "oci:" .. folder.path .. "/image:1"
  end)

  after_each(function()
    folder:close()
  end)

  it("tells each layer with its size, its share and what made it", function()
    local made = ctz.image.assemble {
      layers = {
        { files = { ["/big"] = { text = ("random"):rep(50000) } }, comment = "the big one" },
        { files = { ["/small"] = { text = "x" } } },
      },
      to = ref,
    }
    local report = ctz.image.analyze(ref)
    assert.equal(made.digest, report.digest)
    assert.equal(made.size_bytes, report.size_bytes)
    assert.equal(made.size_bytes / 1000000, report.size_mb)
    assert.equal(2, #report.layers)
    local shares = 0
    for i, layer in ipairs(report.layers) do
      assert.equal(made.layers[i].digest, layer.digest)
      assert.equal(made.layers[i].size_bytes, layer.size_bytes)
      assert.truthy(layer.diff_id:find "^sha256:")
      assert.truthy(layer.created_by)
      shares = shares + layer.share
    end
    assert.is_true(shares > 0 and shares < 1) -- manifest and config are the rest
  end)

  it("of a missing image is kind not_found", function()
    local _, err = ctz.try(ctz.image.analyze, ref)
    assert.equal("not_found", err.kind)
  end)
end)
