-- credentials_spec.lua: certificates that a plugin gives, that expire and are renewed; a proxy; on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local certificates = require "tests.lua.support.certificates"
local cluster = require "tests.lua.support.cluster"

describe("credentials of a cluster #live", function()
  local folder, keys, made

  setup(function()
    folder = ctz.fs.tempdir()
    keys = cluster.tls().ca:match "^(.*/)"
    made = certificates.new(folder.path, keys .. "ca.crt", keys .. "ca.key")
  end)

  teardown(function()
    folder:close()
  end)

  local function path(name)
    return folder.path .. "/" .. name
  end

  local function connect(user, more)
    ctz.fs.write(path "config", ([[
apiVersion: v1
kind: Config
current-context: main
clusters:
- name: here
  cluster: {server: %q, certificate-authority: %q%s}
users:
- name: me
  user: {%s}
contexts:
- name: main
  context: {cluster: here, user: me}
]]):format(cluster.server(), keys .. "ca.crt", more or "", user))
    return ctz.kubernetes.connect { kubeconfig = path "config" }
  end

  local function who(k)
    return k:create({ apiVersion = "authentication.k8s.io/v1", kind = "SelfSubjectReview", metadata = {} })
      .status.userInfo.username
  end

  local PLUGIN <const> = "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,"
    .. " interactiveMode: Never}"

  -- A plugin that gives the certificate of the file `now`.
  local function write_plugin()
    ctz.fs.write(path "plugin", [[#!/usr/bin/env python3
import json, os
folder = os.path.dirname(os.path.abspath(__file__)) + "/"
open(folder + "runs", "a").write("run\n")
name = open(folder + "now").read()
status = {"clientCertificateData": open(folder + name + ".crt").read(),
          "clientKeyData": open(folder + name + ".key").read()}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
]])
    ctz.fs.chmod(path "plugin", "0755")
    ctz.fs.write(path "runs", "")
  end

  it("are a certificate that a plugin gives, and a new one when it is refused", function()
    write_plugin()
    made:make("ann", ctz.time.now() + 3600)
    made:make("old", ctz.time.now() - 3600)
    made:make("ben", ctz.time.now() + 3600)
    ctz.fs.write(path "now", "ann")
    local k = connect(PLUGIN)
    assert.equal("ann", who(k))
    assert.equal("ann", who(k))
    assert.equal("run\n", ctz.fs.read(path "runs"))
    ctz.fs.write(path "now", "old")
    local other = connect(PLUGIN)
    local _, err = ctz.try(who, other)
    assert.equal("auth", err.kind)
    assert.equal(401, err.status)
    ctz.fs.write(path "now", "ben")
    assert.equal("ben", who(other))
    assert.equal("ann", who(k))
  end)

  it("are files that are read again when their certificate has expired in the middle", function()
    local until_at = ctz.time.now() + 10
    made:make("me", until_at, { user = "short" })
    local k = connect "client-certificate: me.crt, client-key: me.key"
    assert.equal("short", who(k))
    ctz.sleep(until_at + 1.5 - ctz.time.now())
    local _, err = ctz.try(who, k)
    assert.equal("auth", err.kind)
    made:make("me", ctz.time.now() + 3600, { user = "long" })
    assert.equal("long", who(k))
    for _ = 1, 3 do
      assert.equal("long", who(k))
    end
  end)

  it("go through a proxy, streams and all", function()
    local proxy <close> = ctz.process.spawn({ "python3", "tests/testbed/connect_proxy.py", path "connections" },
      { stdin = "pipe" })
    local user = ("client-certificate: %q, client-key: %q"):format(keys .. "admin.crt", keys .. "admin.key")
    local k = connect(user, ", proxy-url: 'http://127.0.0.1:" .. proxy:read "l" .. "'")
    local space = cluster.namespace()
    assert.equal(space.name, k:get("namespace", space.name).metadata.name)
    k:create(cluster.pod("inside", space.name, { "sleep", "100" }))
    k:wait("pod/inside", { namespace = space.name, timeout = 60 })
    local events <close> = k:watch("pods", { namespace = space.name })
    assert.equal("inside", events().object.metadata.name)
    local program = k:exec("inside", { "sh", "-c", "echo through; exit 4" }, { namespace = space.name, check = false })
    assert.equal("through\n", program.stdout)
    assert.equal(4, program.exit_code)
    space.delete()
    local host = cluster.server():match "//(.*)$"
    local connections = ctz.fs.read(path "connections")
    assert.equal(connections, (host .. "\n"):rep(select(2, connections:gsub("\n", ""))))
    assert.is_true(#connections > 0)
    k = connect(user, ", proxy-url: 'http://127.0.0.1:1'")
    local _, err = ctz.try(k.get, k, "namespace", "default")
    assert.equal("unreachable", err.kind)
    assert.matches("cannot connect to the proxy 127.0.0.1:1", err.message, 1, true)
  end)
end)
