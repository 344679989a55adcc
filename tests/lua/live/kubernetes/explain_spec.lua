-- explain_spec.lua: what kinds and fields are, beside kubectl's words, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

describe("client:explain #live", function()
  local k, name, cache

  setup(function()
    k = ctz.kubernetes.connect()
    name = cluster.name "gears"
    local definition = {
      apiVersion = "apiextensions.k8s.io/v1", kind = "CustomResourceDefinition",
      metadata = { name = name .. ".explained.example" },
      spec = {
        group = "explained.example", scope = "Namespaced",
        names = { plural = name, singular = name .. "x", kind = "Gear" .. name:gsub("%A", "") },
        versions = { {
          name = "v1beta2", served = true, storage = true,
          schema = { openAPIV3Schema = {
            type = "object", description = "A gear.", required = { "spec" },
            properties = { spec = {
              type = "object", description = "What it shall be.", required = { "size" },
              properties = {
                size = { type = "integer", description = "Teeth." },
                shape = { type = "string", enum = { "round", "" }, default = "round" },
                parts = { type = "array", items = { type = "object", properties = { id = { type = "string" } } } },
                marks = { type = "object", additionalProperties = { type = "string" } },
              },
            } },
          } },
        } },
      },
    }
    k:create(definition)
    k:wait("crd/" .. definition.metadata.name, { condition = "Established", timeout = 30 })
    cache = os.getenv "XDG_CACHE_HOME" or os.getenv "HOME" .. "/.cache"
  end)

  teardown(function()
    k:delete("crd/" .. name .. ".explained.example")
  end)

  local function same_as_kubectl(path, opts, ...)
    local expected = cluster.kubectl({ "explain", path, ... }).stdout
    local explained = k:explain(path, opts)
    assert.equal(expected, explained.text)
    assert.equal(expected, tostring(explained) .. "\n")
  end

  it("says what kubectl says", function()
    for _, path in ipairs {
      "deployment.spec.strategy", "pods", "po.spec.containers.ports", "pod.metadata.labels", "deploy.spec.replicas",
      "service.spec.type", "pod.spec", "crd.spec.versions.schema", "job.spec.podFailurePolicy", "namespace",
      "networkpolicies.networking.k8s.io", "pod.spec.volumes.emptyDir.sizeLimit", "ing.spec.rules.http.paths.backend",
      "pod.spec.containers.resources.limits", "secrets.data",
    } do
      same_as_kubectl(path)
    end
  end)

  it("goes down through all fields", function()
    for _, path in ipairs { "deployment", "pod.spec", "crd.spec", "service.status" } do
      same_as_kubectl(path, { recursive = true }, "--recursive")
    end
    local depth = k:explain("deployment", { recursive = true, max_depth = 2 })
    assert.is_nil(depth.fields[5].fields[1].fields)
    same_as_kubectl("hpa.spec", { api_version = "autoscaling/v1" }, "--api-version=autoscaling/v1")
  end)

  it("knows custom kinds", function()
    ctz.timeout(30, function()
      repeat -- the server publishes a new definition a little later
        ctz.sleep(0.2)
        local ok = ctz.try(k.explain, k, name)
      until ok
    end)
    same_as_kubectl(name .. ".spec")
    same_as_kubectl(name, { recursive = true }, "--recursive")
    local spec = k:explain(name .. ".explained.example.spec")
    assert.equal("What it shall be.", spec.description)
    local by_name = {}
    for _, field in ipairs(spec.fields) do
      by_name[field.name] = field
    end
    assert.same({ "integer", true, "Teeth." }, { by_name.size.type, by_name.size.required, by_name.size.description })
    assert.same({ "round", "" }, by_name.shape.enum)
    assert.equal("round", by_name.shape.default)
    assert.equal("[]Object", by_name.parts.type)
    assert.equal("map[string]string", by_name.marks.type)
  end)

  it("names the nearest of what is not there", function()
    for path, hint in pairs {
      ["deployment.spec.stratgy"] = 'did you mean "strategy"?', ["deploymnet.spec"] = 'did you mean "deployment"?',
      ["pod.spec.containers.imagePullPolicies"] = 'did you mean "imagePullPolicy"?',
    } do
      local _, err = ctz.try(k.explain, k, path)
      assert.equal("not_found", err.kind)
      assert.equal(hint, err.hint)
    end
    local _, err = ctz.try(k.explain, k, "pod.spec.containers.nme")
    assert.matches('Pod.spec.containers has no field "nme"', err.message, 1, true)
    _, err = ctz.try(k.explain, k, "pod..spec")
    assert.equal("usage", err.kind)
  end)

  it("asks the server for a group once, and again when its hash is another one", function()
    k:explain "deployment"
    local found
    for _, file in ipairs(ctz.fs.glob(cache .. "/ctz/kubernetes/*-openapi-apps_v1.json")) do
      local kept = ctz.json.decode(ctz.fs.read(file))
      found = found or kept.schemas["io.k8s.api.apps.v1.Deployment"]
      kept.schemas["io.k8s.api.apps.v1.Deployment"].description = "Kept."
      ctz.fs.write(file, ctz.json.encode(kept))
    end
    assert.is_truthy(found)
    assert.equal("Kept.", k:explain("deployment").description)
    for _, file in ipairs(ctz.fs.glob(cache .. "/ctz/kubernetes/*-openapi-apps_v1.json")) do
      local kept = ctz.json.decode(ctz.fs.read(file))
      kept.hash = "old"
      ctz.fs.write(file, ctz.json.encode(kept))
    end
    assert.matches("enables declarative updates", k:explain("deployment").description)
  end)
end)
