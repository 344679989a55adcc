-- forward_spec.lua: ports of pods on this machine, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local pods = require "tests.lua.support.kube_pods"

describe("kubernetes port_forward #live", function()
  local k
  local serve <const> = "mkdir /tmp/w; echo hello > /tmp/w/page; head -c 3000000 /dev/urandom > /tmp/w/big; "
    .. "exec httpd -f -p 8080 -h /tmp/w"

  setup(function()
    k = pods.client()
    local ports = { { name = "web", containerPort = 8080 } }
    pods.run(k, "web", { main = { command = { "sh", "-c", serve }, ports = ports } })
    pods.deploy(k, "app", 1, { main = { command = { "sh", "-c", serve }, ports = ports } })
    k:create {
      apiVersion = "v1", kind = "Service", metadata = { name = "svc" },
      spec = { selector = { app = "app" }, ports = { { port = 80, targetPort = "web" } } },
    }
    ctz.sleep(0.5)
  end)

  teardown(function()
    pods.remove(k)
  end)

  local function get(forward, path)
    return ctz.http.get(("http://%s:%d%s"):format(forward.address, forward.local_port, path), { timeout = 20 })
  end

  it("serves a local port, to several at once, byte for byte", function()
    local forward <close> = k:port_forward("web", { port = 8080 })
    assert.equal("hello\n", get(forward, "/page").body)
    local sum = k:exec("web", { "sha256sum", "/tmp/w/big" }).stdout:match "%x+"
    local sums = ctz.map({ 1, 2, 3, 4 }, function()
      return ctz.hash.sha256(get(forward, "/big").body)
    end)
    assert.same({ sum, sum, sum, sum }, sums)
  end)

  it("finds the port by its name, of a deployment and of a service", function()
    for target, port in pairs { ["pod/web"] = "web", ["deployment/app"] = 8080, ["service/svc"] = 80 } do
      local forward <close> = k:port_forward(target, { port = port })
      assert.equal(8080, forward.port)
      assert.equal("hello\n", get(forward, "/page").body)
    end
  end)

  it("connects without a local port, both ways", function()
    local forward <close> = k:port_forward("web", { port = 8080, serve = false })
    local connection <close> = forward:connect()
    connection:write "GET /big HTTP/1.0\r\n"
    connection:write "\r\n"
    local parts = {}
    for bytes in connection.read, connection do
      parts[#parts + 1] = bytes
    end
    local body = table.concat(parts):match "\r\n\r\n(.*)$"
    assert.equal(k:exec("web", { "sha256sum", "/tmp/w/big" }).stdout:match "%x+", ctz.hash.sha256(body))
  end)

  it("tells a port on which nobody listens, and goes on", function()
    local forward <close> = k:port_forward("web", { port = 7 })
    local connection <close> = forward:connect()
    local _, err = ctz.try(connection.read, connection)
    assert.equal("unreachable", err.kind)
    assert.is_nil((ctz.try(get, forward, "/")))
    assert.is_nil((ctz.try(get, forward, "/")))
  end)

  it("gives the local port back, and refuses wrong ones", function()
    local forward = k:port_forward("web", { port = 8080 })
    local port = forward.local_port
    local _, err = ctz.try(k.port_forward, k, "web", { port = 8080, local_port = port })
    assert.equal("EADDRINUSE", err.code)
    forward:close()
    local again <close> = k:port_forward("web", { port = 8080, local_port = port })
    assert.equal("hello\n", get(again, "/page").body)
    for _, wrong in ipairs { 0, 70000, "none" } do
      assert.is_nil((ctz.try(k.port_forward, k, "web", { port = wrong })))
    end
  end)
end)
