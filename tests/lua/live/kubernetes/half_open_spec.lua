-- half_open_spec.lua: the network drops every packet of connections that are open: nobody is told of their end.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local PORT <const> = cluster.server():match ":(%d+)$"
local NOTICED_S <const> = 60

local function iptables(...)
  return ctz.process.run { "iptables", "-w", ... }
end

-- The local ports of this process's connections to the API server.
local function own_ports()
  local ports, mine = {}, ("pid=%d,"):format(ctz.fs.read("/proc/self/stat"):match "^%d+")
  local shown = ctz.process.run({ "ss", "-tnpH", "state", "established", "dport", "=", PORT }).stdout
  for line in shown:gmatch "[^\n]+" do
    local port = line:find(mine, 1, true) and line:match(":(%d+)%s+%S+:" .. PORT)
    ports[#ports + 1] = port or nil
  end
  return ports
end

-- Drops what goes over these connections, both ways. Close it by <close>.
local function drop(ports)
  local rules = {}
  for _, port in ipairs(ports) do
    rules[#rules + 1] = { "OUTPUT", "-p", "tcp", "--sport", port, "--dport", PORT, "-j", "DROP" }
    rules[#rules + 1] = { "OUTPUT", "-p", "tcp", "--sport", PORT, "--dport", port, "-j", "DROP" }
  end
  for _, rule in ipairs(rules) do
    iptables("-A", table.unpack(rule))
  end
  return setmetatable({}, { __close = function()
    for _, rule in ipairs(rules) do
      iptables("-D", table.unpack(rule))
    end
  end })
end

describe("connections whose packets are dropped #live", function()
  local k, space, namespace

  setup(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
    namespace = space.name
  end)

  teardown(function()
    space.delete()
  end)

  it("are noticed within a minute: a watch and a followed log go on, an exec says so", function()
    k:create(cluster.pod("talker", namespace, {
      "sh", "-c", "i=0; while [ $i -lt 90 ]; do echo line $i; i=$((i + 1)); sleep 1; done; sleep 1000",
    }))
    k:wait("pod/talker", { namespace = namespace, timeout = 60 })
    local watch <close> = k:watch("configmaps", { namespace = namespace, name = "seen" })
    assert.equal("sync", ctz.timeout(30, watch).type)
    local opened = ctz.spawn(function() -- the watch itself is opened by the next look at it
      local event = watch()
      return event, ctz.time.monotonic()
    end)
    local lines = {}
    local followed = ctz.spawn(function()
      for line in k:logs("talker", { namespace = namespace, follow = true }) do
        lines[#lines + 1] = line.text
        if lines.enough then
          return
        end
      end
    end)
    local executed = ctz.spawn(function()
      local _, err = ctz.try(k.exec, k, "talker", { "sleep", "1000" }, { namespace = namespace })
      return err, ctz.time.monotonic()
    end)
    ctz.sleep(2)
    local ports = own_ports()
    assert.is_true(#ports >= 3) -- the watch, the log, the exec
    local began, had = ctz.time.monotonic(), #lines
    local dropped <close> = drop(ports) -- luacheck: ignore 211
    cluster.kubectl { "create", "configmap", "seen", "-n", namespace, "--from-literal=step=1" }
    cluster.kubectl { "patch", "configmap", "seen", "-n", namespace, "-p", '{"data":{"step":"2"}}' }
    local event, seen_at = ctz.timeout(NOTICED_S + 10, opened.await, opened)
    assert.equal("added", event.type)
    assert.is_true(seen_at - began < NOTICED_S, ("%g s"):format(seen_at - began))
    local step = event.object.data.step
    while step ~= "2" do
      event = ctz.timeout(10, watch)
      assert.equal("modified", event.type)
      step = event.object.data.step
    end
    local err, failed_at = ctz.timeout(NOTICED_S, executed.await, executed)
    assert.is_true(failed_at - began < NOTICED_S, ("%g s"):format(failed_at - began))
    assert.is_true(err.kind == "unreachable" or err.kind == "timeout", tostring(err))
    ctz.timeout(NOTICED_S, function()
      while #lines <= had + 10 do
        ctz.sleep(0.2)
      end
    end)
    lines.enough = true
    ctz.timeout(10, followed.await, followed)
    for i, text in ipairs(lines) do
      assert.equal("line " .. i - 1, text)
    end
    assert.is_true(ctz.time.monotonic() - began < 90)
  end)
end)
