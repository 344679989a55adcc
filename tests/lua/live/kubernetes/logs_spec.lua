-- logs_spec.lua: what containers of pods and workloads have written, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local pods = require "tests.lua.support.kube_pods"

describe("kubernetes logs #live", function()
  local k

  setup(function()
    k = pods.client()
    -- a line at once: containerd 1.6 cuts lines where a write of several ends (kubectl shows it, too)
    local counts = "i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo $i; done; sleep 1"
    pods.run(k, "many", { main = { command = { "sh", "-c", counts } } }, "Succeeded")
    pods.run(k, "two", {
      a = { command = { "sh", "-c", "for i in $(seq 30); do echo a$i; sleep 0.1; done" } },
      b = { command = { "sh", "-c", "for i in $(seq 30); do echo b$i; sleep 0.1; done; printf 'no end'" } },
    }, "Succeeded")
    local says = { "sh", "-c", "while :; do echo I am $HOSTNAME; sleep 0.2; done" }
    pods.deploy(k, "app", 2, { main = { command = says } })
  end)

  teardown(function()
    pods.remove(k)
  end)

  local function texts(...)
    local list = {}
    for line in k:logs(...) do
      list[#list + 1] = line.text
    end
    return list
  end

  it("gives every line in order, each with pod, container and time", function()
    local count = 0
    for line in k:logs "many" do
      count = count + 1
      assert.equal(tostring(count), line.text)
      assert.equal("many", line.pod)
      assert.equal("main", line.container)
      assert.is_true(line.time > 1.7e9)
    end
    assert.equal(5000, count)
    assert.same({ "4999", "5000" }, texts("pod/many", { tail = 2 }))
    assert.same({}, texts("pod/many", { since = ctz.time.now() + 3600 }))
    assert.equal(5000, #texts("many", { follow = true }))
  end)

  it("merges containers by time, and names them", function()
    local last, changes, count, before = 0, 0, 0, nil
    for line in k:logs("two", { all_containers = true }) do
      assert.is_true(line.time >= last)
      changes = changes + (line.container ~= before and 1 or 0)
      last, before, count = line.time, line.container, count + 1
    end
    assert.equal(61, count)
    assert.is_true(changes > 2) -- they ran at the same time
    assert.same({ "a29", "a30" }, texts("two", { tail = 2 }))
    assert.same({ "b30", "no end" }, texts("two", { container = "b", tail = 2 }))
    assert.equal("[pod/two/a] a1", texts("two", { prefix = true })[1])
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT.*Z a1$", texts("two", { timestamps = true })[1])
  end)

  it("follows a deployment to pods that are made later", function()
    local seen, before = {}, {}
    for _, pod in ipairs(k:list("pods", { labels = "app=app" }).items) do
      before[pod.metadata.name] = true
    end
    local first = next(before)
    ctz.timeout(60, function()
      local deleted
      for line in k:logs("deployment/app", { follow = true, tail = 1 }) do
        assert.equal("I am " .. line.pod, line.text)
        seen[line.pod] = true
        local count = 0
        for _ in pairs(seen) do
          count = count + 1
        end
        if count == 2 and not deleted then
          deleted = true
          k:delete("pod", first)
        elseif count == 3 then
          break
        end
      end
    end)
    local new = 0
    for name in pairs(seen) do
      new = new + (before[name] and 0 or 1)
    end
    assert.equal(1, new)
  end)

  it("gives what a container wrote before it was started again #real", function()
    -- It ends once; the number of its life is kept in a volume, which lives as long as the pod.
    local script = "if [ -e /keep/life ]; then echo second life; exec sleep 1000; fi; "
      .. "touch /keep/life; echo first life; sleep 0.1; echo its last words >&2; exit 3"
    local spec = pods.spec {
      main = {
        command = { "sh", "-c", script },
        volumeMounts = { { name = "keep", mountPath = "/keep" } },
      },
      steady = { command = { "sh", "-c", "echo the only life; exec sleep 1000" } },
    }
    spec.volumes = { { name = "keep", emptyDir = ctz.json.object {} } }
    k:create { apiVersion = "v1", kind = "Pod", metadata = { name = "again", labels = { app = "again" } }, spec = spec }
    pods.run(k, "never", { main = { command = { "sleep", "1000" } } })
    ctz.timeout(60, function()
      repeat
        ctz.sleep(0.1)
        local now = k:get("pod", "again").status.containerStatuses
      until now and now[1].name == "main" and now[1].restartCount == 1 and now[1].state.running
    end)
    assert.same({ "first life", "its last words" }, texts("again", { previous = true }))
    assert.same({ "its last words" }, texts("again", { previous = true, tail = 1 }))
    assert.same({ "second life" }, texts "again")

    local _, err = ctz.try(k.logs, k, "again", { container = "steady", previous = true })
    assert.equal("usage", err.kind)
    assert.equal('previous terminated container "steady" in pod "again" not found', err.message)
    assert.equal("it was not started again: without previous=true these are its lines", err.hint)
    _, err = ctz.try(k.logs, k, "never", { previous = true })
    assert.equal("usage", err.kind)

    -- Of several those that have it, as one asks after a crash of some.
    assert.same({ "first life", "its last words" },
      texts({ selector = "app in (again,never)" }, { previous = true, all_containers = true }))
    _, err = ctz.try(k.logs, k, { selector = "app=never" }, { previous = true })
    assert.equal("usage", err.kind)
    assert.matches("^no container of pods of app=never in namespace %S+ has been started again$", err.message)
    _, err = ctz.try(k.logs, k, "again", { previous = true, follow = true })
    assert.equal("usage", err.kind)
  end)

  it("tells what is not there", function()
    for _, target in ipairs { "none", "deployment/none" } do
      local _, err = ctz.try(k.logs, k, target)
      assert.equal("not_found", err.kind)
    end
    local _, err = ctz.try(k.logs, k, "two", { container = "c" })
    assert.equal("not_found", err.kind)
    assert.equal("it has a, b", err.hint)
  end)
end)
