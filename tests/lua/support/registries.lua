-- registries.lua: the registries that tests/testbed/registry gave this spec.
--
--   local registry = require "tests.lua.support.registries"
--   registry.connect("plain")  registry.host("token")  registry.repo()
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local programs = require "tests.lua.support.programs"

local registry = {
  engine = os.getenv "CTZ_TEST_REGISTRY_ENGINE", -- "packaged" or "newest"
  ca = os.getenv "CTZ_TEST_REGISTRY_CA",
  user = { username = "user", password = "secret word" },
}

--- "127.0.0.1:PORT" of one of them: plain, basic, token, tls, fixed; tokens is the token server.
function registry.host(kind)
  local hint = "run this by ctest, or by: tests/testbed/registry exec DIR ENGINE -- ctz test SPEC"
  return assert(os.getenv("CTZ_TEST_REGISTRY_" .. kind:upper()), hint)
end

function registry.connect(kind, opts)
  return ctz.registry.connect(registry.host(kind), opts)
end

--- A repository that nobody else uses.
local made = 0
function registry.repo(word)
  made = made + 1
  return ("%s/r%d-%d"):format(word or "test", programs.self(), made)
end

--- Pushes a small image; returns its descriptor and the manifest's table.
function registry.push(client, repo, tag, word)
  local config = ctz.json.encode { architecture = "arm64", os = "linux", variant = "v8", word = word }
  local layer = "layer " .. (word or "")
  local manifest = {
    schemaVersion = 2, mediaType = "application/vnd.oci.image.manifest.v1+json",
    config = { mediaType = "application/vnd.oci.image.config.v1+json", size = #config,
      digest = client:put_blob(repo, config).digest },
    layers = ctz.json.array { { mediaType = "application/vnd.oci.image.layer.v1.tar", size = #layer,
      digest = client:put_blob(repo, layer).digest } },
  }
  return client:put_manifest(repo, tag, manifest), manifest
end

--- What the token server was asked so far.
function registry.asked()
  return ctz.json.decode(ctz.http.get(("http://%s/asked"):format(registry.host "tokens")).body)
end

--- All that a reader gives.
function registry.read(blob)
  local parts = {}
  for chunk in function()
    return blob:read()
  end do
    parts[#parts + 1] = chunk
  end
  return table.concat(parts)
end

--- What an iterator gives, sorted.
function registry.list(iterator)
  local found = {}
  for name in iterator do
    found[#found + 1] = name
  end
  table.sort(found)
  return found
end

return registry
