-- recipes_spec.lua: the recipes of Kubernetes, as their headers say, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local program = require "tests.lua.support.program"

describe("deploy.lua #live", function()
  local space

  setup(function()
    space = cluster.namespace()
  end)

  teardown(function()
    space.delete()
  end)

  local function deploy(image)
    return ctz.process.run({
      program.path, "run", "recipes/deploy.lua", "name=web", "image=" .. image, "namespace=" .. space.name,
      "replicas=2", "wait=50", "--", "sleep", "1000",
    }, { check = false, stderr = "capture", timeout = 300 })
  end

  it("makes a deployment, changes it, and goes back from an image that cannot be had", function()
    local first = deploy(cluster.image)
    assert.equal(0, first.exit_code, first.stderr)
    assert.matches("2 of 2 replicas run " .. cluster.image, first.stdout, 1, true)
    local second = deploy(cluster.other_image)
    assert.equal(0, second.exit_code, second.stderr)
    local bad = deploy "none.invalid/web:3"
    assert.equal(1, bad.exit_code)
    assert.matches("rolled back to " .. cluster.other_image, bad.stdout, 1, true)
    assert.matches("deployment web does not get ready", bad.stderr, 1, true)
    assert.matches("none.invalid/web:3", bad.stderr, 1, true)
    local now = cluster.get("deployment", "web", "-n", space.name)
    assert.equal(cluster.other_image, now.spec.template.spec.containers[1].image)
    assert.equal(2, now.status.availableReplicas)
  end)
end)

describe("run-job.lua #live", function()
  local space

  setup(function()
    space = cluster.namespace()
  end)

  teardown(function()
    space.delete()
  end)

  local function words(name, image, ...)
    return {
      program.path, "run", "recipes/run-job.lua", "name=" .. name, "image=" .. image, "namespace=" .. space.name, ...,
    }
  end

  local function run(...)
    return ctz.process.run(words(...), { check = false, stderr = "capture", timeout = 120 })
  end

  it("prints the log of a command, byte for byte, and keeps the job for a while", function()
    local result = run("count", cluster.image, "ttl=600", "--", "seq", "1", "5000")
    assert.equal(0, result.exit_code, result.stderr)
    local expected = {}
    for i = 1, 5000 do
      expected[i] = i .. "\n"
    end
    assert.equal(table.concat(expected), result.stdout)
    assert.equal(600, cluster.get("job", "count", "-n", space.name).spec.ttlSecondsAfterFinished)
  end)

  it("ends with the exit code of the command", function()
    for _, code in ipairs { 3, 127, 200 } do
      local result = run("code-" .. code, cluster.image, "--", "sh", "-c", "echo before; exit " .. code)
      assert.equal(code, result.exit_code, result.stderr)
      assert.equal("before\n", result.stdout)
      assert.matches("its pod ended with " .. code, result.stderr)
    end
  end)

  it("writes one JSON document with --json, and the log to stderr", function()
    local function run_json(...)
      local argv = words(...)
      table.insert(argv, 3, "--json")
      local result = ctz.process.run(argv, { check = false, stderr = "capture", timeout = 120 })
      return ctz.json.decode(result.stdout), result
    end

    local record, result = run_json("json", cluster.image, "--", "sh", "-c", [[echo '{"a":'; echo line]])
    assert.equal(0, result.exit_code, result.stderr)
    assert.equal('{"a":\nline\n', result.stderr)
    assert.equal("json", record.name)
    assert.equal(space.name, record.namespace)
    assert.equal("succeeded", record.status)
    assert.equal(0, record.exit_code)
    assert.equal(1, #record.pods)

    record, result = run_json("json-200", cluster.image, "--", "sh", "-c", "echo before; exit 200")
    assert.equal(200, result.exit_code)
    assert.equal("before\njob json-200 failed: its pod ended with 200\n", result.stderr)
    assert.equal(200, record.exit_code)
    assert.equal("failed", record.status)

    record, result = run_json("json-none", "none.invalid/job:1")
    assert.equal(1, result.exit_code)
    assert.matches("none.invalid/job:1", record.error.message, 1, true)
  end)

  it("tries again as often as it is told", function()
    local result = run("again", cluster.image, "retries=1", "--", "sh", "-c", "echo tried; exit 4")
    assert.equal(4, result.exit_code, result.stderr)
    assert.equal("tried\ntried\n", result.stdout)
  end)

  it("ends with the reason, and deletes the job, when an image cannot be had", function()
    local result = run("none", "none.invalid/job:1")
    assert.equal(1, result.exit_code)
    assert.matches("none.invalid/job:1", result.stderr, 1, true)
    assert.matches("job none is deleted", result.stderr, 1, true)
    assert.equal("", cluster.kubectl({ "get", "job", "none", "-n", space.name, "--ignore-not-found" }).stdout)
  end)

  it("deletes the job on Ctrl-C", function()
    local child = ctz.process.spawn(words("long", cluster.image, "--", "sh", "-c", "echo begun; sleep 1000"),
      { stderr = "null" })
    assert.equal("begun", child:read "l")
    child:kill "INT"
    assert.equal(130, child:wait({ check = false }).exit_code)
    assert.equal("", cluster.kubectl({ "get", "job", "long", "-n", space.name, "--ignore-not-found" }).stdout)
  end)
end)

describe("rollout-report.lua #live", function()
  local space, folder

  setup(function()
    space, folder = cluster.namespace(), ctz.fs.tempdir()
    local k = ctz.kubernetes.connect { namespace = space.name }
    ctz.kubernetes.orchestrate {
      client = k, deployment_name = "web", image = cluster.image, command = { "sleep", "1000" }, replicas = 2,
    }
    k:create_deployment { name = "bad", image = "none.invalid/<web>:1" }
    k:create_deployment { name = "parked", image = cluster.image, replicas = 0 }
    k:create {
      apiVersion = "apps/v1", kind = "DaemonSet", metadata = { name = "each" },
      spec = { selector = { matchLabels = { app = "each" } }, template = {
        metadata = { labels = { app = "each" } },
        spec = cluster.pod("each", nil, { "sleep", "1000" }, { restartPolicy = "Always" }).spec,
      } },
    }
    k:wait("daemonset/each", { timeout = 60 })
    -- As the report, it is patient with a young pod.
    local bad = k:rollout "deployment/bad"
    local _, err = ctz.try(bad.status, bad, { timeout = 60 })
    assert(err.kind == "conflict", err)
  end)

  teardown(function()
    space.delete()
    folder:close()
  end)

  local function report(...)
    return ctz.process.run({ program.path, "run", ... }, { check = false, stderr = "capture", timeout = 60 })
  end

  local RECIPE <const> = "recipes/rollout-report.lua"

  it("prints a table, and says why something is not ready", function()
    local result = report(RECIPE, "namespace=" .. space.name, "fail=true")
    assert.equal(3, result.exit_code, result.stderr)
    assert.matches("daemonset/each +1/1 +running", result.stdout)
    assert.matches("deployment/web +2/2 +running +%d+%a +" .. cluster.image:gsub("%-", "%%-"), result.stdout)
    assert.matches("deployment/bad +0/1 +failed .*InvalidImageName", result.stdout)
    assert.matches("4 workloads in namespace " .. space.name, result.stdout, 1, true)
    assert.matches("3 ready, 0 on their way, 1 failed", result.stderr, 1, true)
  end)

  it("gives the same as data", function()
    local result = report("--json", RECIPE, "namespace=" .. space.name)
    assert.equal(0, result.exit_code, result.stderr)
    local rows = ctz.json.decode(result.stdout)
    assert.same({ "DaemonSet", "Deployment", "Deployment" }, { rows[1].kind, rows[2].kind, rows[3].kind })
    assert.equal(4, #rows)
    assert.same({ "bad", "failed", 0, 1 }, { rows[2].name, rows[2].status, rows[2].ready, rows[2].replicas })
    assert.is_true(#ctz.json.decode(report("--json", RECIPE, "all=true").stdout) >= 3)
    result = report("--json", RECIPE, "namespace=" .. space.name, "fail=true")
    assert.equal(3, result.exit_code)
    assert.equal(#rows, #ctz.json.decode(result.stdout))
  end)

  it("writes a page and a table for people, whatever is in the names", function()
    local page, text = folder.path .. "/report.html", folder.path .. "/report.md"
    assert.equal(0, report(RECIPE, "namespace=" .. space.name, "out=" .. page).exit_code)
    local html = ctz.fs.read(page)
    assert.matches("<title>What is rolled out in namespace " .. space.name, html, 1, true)
    assert.matches("none.invalid/&lt;web&gt;:1", html, 1, true)
    assert.is_nil(html:find("<web>", 1, true))
    assert.matches("2 of 2, running", html, 1, true)
    assert.matches(">scaled to 0<", html, 1, true)
    assert.is_true(html:find("<strong>bad<", 1, true) < html:find("<strong>each<", 1, true)) -- what failed is first
    for _, word in ipairs { "<script", "<link", "src=", "href=", "url(", "@import" } do
      assert.is_nil(html:find(word, 1, true)) -- one file, which asks nobody for more
    end
    assert.equal(0, report(RECIPE, "namespace=" .. space.name, "out=" .. text).exit_code)
    local markdown = ctz.fs.read(text)
    assert.matches("| ✅ | " .. space.name .. " | deployment/web | 2/2 |", markdown, 1, true)
    assert.matches("none.invalid/\\<web\\>:1", markdown, 1, true)
    assert.equal(1, report(RECIPE, "out=report.pdf").exit_code)
  end)

  it("says that there is nothing", function()
    local none, page = cluster.namespace(), folder.path .. "/none.html"
    local result = report(RECIPE, "namespace=" .. none.name, "fail=true", "out=" .. page)
    assert.equal(0, result.exit_code, result.stderr)
    assert.matches("^0 workloads in namespace " .. none.name:gsub("%-", "%%-"), result.stdout)
    assert.matches("There are no Deployments, StatefulSets or DaemonSets here.", ctz.fs.read(page), 1, true)
    assert.equal("[]\n", report("--json", RECIPE, "namespace=" .. none.name).stdout)
    none.delete()
  end)

  it("shows the short columns and whole reasons on a narrow terminal", function()
    local words = ("stty cols 60; exec '%s' run %s namespace=%s"):format(program.path, RECIPE, space.name)
    local result = ctz.process.run({ "script", "-qec", words, "/dev/null" }, {
      env = { TERM = "xterm" }, stdin = "", timeout = 60,
    })
    local lines = {}
    for line in result.stdout:gmatch "([^\r\n]*)\r?\n" do
      lines[#lines + 1] = line
    end
    assert.matches("^STATUS +READY +AGE +WORKLOAD", lines[1])
    for i = 1, 5 do
      assert.is_true(#lines[i] <= 60, lines[i])
    end
    assert.matches("\r\ndeployment/bad\r\n  pod bad%-[^\r]*InvalidImageName[^\r]*<web>", result.stdout)
  end)
end)
