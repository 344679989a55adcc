-- kubernetes_certificates_spec.lua: client certificates that the server's side of TLS refuses, to a server of rules.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local certificates = require "tests.lua.support.certificates"
local kube_server = require "tests.lua.support.kube_server"

describe("a client certificate of kubernetes", function()
  local folder, made, server

  setup(function()
    folder = ctz.fs.tempdir()
    made = certificates.new(folder.path)
    made:make("server", ctz.time.now() + 3600, { server = true })
    made:make("old", ctz.time.now() - 3600)
    made:make("new", ctz.time.now() + 3600)
    local rules = { kube_server.discovery { resource = "namespaces", kind = "Namespace" } }
    rules[#rules + 1] = {
      path = "/namespaces/x", body = { kind = "Namespace", apiVersion = "v1", metadata = { name = "x" } },
    }
    server = kube_server.start(folder.path, rules, {
      folder.path .. "/server.crt", folder.path .. "/server.key", made.ca,
    })
  end)

  teardown(function()
    getmetatable(server).__close(server)
    folder:close()
  end)

  local function use(name)
    for _, ending in ipairs { ".crt", ".key" } do
      ctz.fs.write(folder.path .. "/me" .. ending, ctz.fs.read(folder.path .. "/" .. name .. ending))
    end
  end

  local AUTHORITY <const> = "certificate-authority: ca.crt"

  it("is read again when the handshake fails", function()
    use "old"
    local k = server:connect("client-certificate: me.crt, client-key: me.key", AUTHORITY)
    local _, err = ctz.try(k.get, k, "namespace/x")
    assert.equal("auth", err.kind, tostring(err))
    assert.matches("the server refuses our side of TLS: our certificate has expired", err.message)
    use "new"
    assert.equal("x", k:get("namespace/x").metadata.name)
    use "old" -- what was taken is kept until it is refused
    assert.equal("x", k:get("namespace/x").metadata.name)
  end)

  it("comes from the plugin anew when the handshake fails", function()
    ctz.fs.write(folder.path .. "/plugin", [[#!/usr/bin/env python3
import json, os
folder = os.path.dirname(os.path.abspath(__file__)) + "/"
status = {"clientCertificateData": open(folder + "me.crt").read(), "clientKeyData": open(folder + "me.key").read()}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
]])
    ctz.fs.chmod(folder.path .. "/plugin", "0755")
    use "new"
    local k = server:connect("exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,"
      .. " interactiveMode: Never}", AUTHORITY)
    assert.equal("x", k:get("namespace/x").metadata.name)
    use "old"
    local other = server:connect("exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,"
      .. " interactiveMode: Never}", AUTHORITY)
    local _, err = ctz.try(other.get, other, "namespace/x")
    assert.equal("auth", err.kind)
    use "new"
    assert.equal("x", other:get("namespace/x").metadata.name)
  end)
end)
