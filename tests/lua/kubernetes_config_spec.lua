-- kubernetes_config_spec.lua: which cluster is meant and as whom; what is sent for it, to a server of rules.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local kubeconfig = require "ctz.kubernetes.kubeconfig"

local folder

local function write(name, text)
  ctz.fs.write(folder.path .. "/" .. name, text)
  return folder.path .. "/" .. name
end

-- A kubeconfig of one cluster and one user, whose fields are given as YAML lines.
local function config(cluster, user, name)
  return write(name or "config", ([[
apiVersion: v1
kind: Config
current-context: main
clusters:
- name: here
  cluster: {%s}
users:
- name: me
  user: {%s}
contexts:
- name: main
  context: {cluster: here, user: me, namespace: team}
]]):format(cluster, user or ""))
end

local function failure(opts)
  local value, err = ctz.try(ctz.k8s.connect, opts)
  assert.is_nil(value)
  assert.equal("table", type(err), tostring(err))
  assert.is_true(err:is "kubernetes" and err:is "container", tostring(err))
  return err
end

local function refused(cluster, user)
  return failure { kubeconfig = config(cluster, user) }
end

-- --- a server of rules -------------------------------------------------------------------------

local Server = {}
Server.__index = Server

function Server:close()
  self.child:close()
end
Server.__close = Server.close

function Server:asked()
  local list = {}
  for line in ctz.fs.read(self.log):gmatch "[^\n]+" do
    list[#list + 1] = ctz.json.decode(line)
  end
  return list
end

local started = 0
local function serve(rules)
  started = started + 1
  local all = ctz.json.array {}
  for _, rule in ipairs(rules) do
    all[#all + 1] = rule
  end
  local log = write("log" .. started, "")
  local path = write("rules" .. started, ctz.json.encode(all))
  local child = ctz.process.spawn({ "python3", "tests/testbed/scripted.py", path, log }, { stdin = "pipe" })
  local port = child:read "l"
  return setmetatable({ child = child, log = log, url = "http://127.0.0.1:" .. port }, Server)
end

local NAMESPACES <const> = {
  path = "^/api(\\?|$)", body = {
    kind = "APIGroupDiscoveryList", items = { { metadata = {}, versions = { {
      version = "v1", freshness = "Current", resources = {
        { resource = "namespaces", responseKind = { kind = "Namespace" }, scope = "Cluster",
          singularResource = "namespace", shortNames = { "ns" }, verbs = { "get", "list" } },
        { resource = "pods", responseKind = { kind = "Pod" }, scope = "Namespaced", singularResource = "pod",
          shortNames = { "po" }, verbs = { "get", "list" } },
      },
    } } } },
  },
}
local GROUPS <const> = { path = "^/apis(\\?|$)", body = { kind = "APIGroupDiscoveryList", items = ctz.json.array {} } }
local OK <const> = {
  path = "/namespaces/x", body = { kind = "Namespace", apiVersion = "v1", metadata = { name = "x" } },
}

local function rules(...)
  return { NAMESPACES, GROUPS, ... }
end

local function status(code, reason, message)
  return { kind = "Status", apiVersion = "v1", status = "Failure", code = code, reason = reason, message = message }
end

describe("kubernetes.connect", function()
  before_each(function()
    folder = ctz.fs.tempdir()
  end)
  after_each(function()
    folder:close()
  end)

  it("merges files: the first that says something counts", function()
    local first = write("a", [[
contexts:
- {name: main, context: {cluster: one, user: me}}
clusters:
- {name: one, cluster: {server: "https://first:6443/prefix/"}}
]])
    local second = write("b", [[
current-context: main
contexts:
- {name: main, context: {cluster: two, namespace: other}}
clusters:
- {name: one, cluster: {server: "https://second:6443"}}
users:
- {name: me, user: {token: t}}
]])
    local cluster = kubeconfig.load { kubeconfig = { first, second } }
    assert.equal("https://first:6443/prefix", cluster.server)
    assert.equal("first:6443", cluster.address)
    assert.equal("default", cluster.namespace)
    assert.equal("me", cluster.user)
    assert.equal("elsewhere", kubeconfig.load({ kubeconfig = { first, second }, namespace = "elsewhere" }).namespace)
  end)

  it("reads relative paths against the file they stand in", function()
    local path = config("server: 'https://h:1', certificate-authority: pki/ca.crt",
      "client-certificate: me.crt, client-key: /abs/me.key")
    local tls = kubeconfig.load({ kubeconfig = path }).tls
    assert.same({ ca = folder.path .. "/pki/ca.crt", cert = folder.path .. "/me.crt", key = "/abs/me.key" }, tls)
  end)

  it("takes the data before the file, server names, proxies and impersonation", function()
    local pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
    local path = config(("server: 'https://h:1', certificate-authority: x, certificate-authority-data: %s,"
      .. "tls-server-name: other, proxy-url: 'http://p:1'"):format(ctz.base64.encode(pem)),
      "token: t, as: jane, as-groups: [dev, ops], as-user-extra: {reason: [why]}")
    local cluster = kubeconfig.load { kubeconfig = path }
    assert.same({ ca = pem, server_name = "other" }, cluster.tls)
    assert.equal("http://p:1", cluster.proxy)
    assert.same({ user = "jane", groups = { "dev", "ops" }, extra = { reason = { "why" } } }, cluster.impersonate)
    cluster = kubeconfig.load { kubeconfig = path, as = "joe", as_groups = { "x" } }
    assert.same({ user = "joe", groups = { "x" } }, cluster.impersonate)
  end)

  it("names what is not there, and the nearest that is", function()
    local path = config "server: 'https://h:1'"
    assert.equal("not_found", failure({ kubeconfig = folder.path .. "/none" }).kind)
    local err = failure { kubeconfig = path, context = "mian" }
    assert.equal("not_found", err.kind)
    assert.equal('did you mean "main"?', err.hint)
    err = failure { kubeconfig = write("c", "current-context: a\ncontexts:\n- {name: a, context: {cluster: none}}\n") }
    assert.matches('there is no cluster "none"', err.message)
    assert.equal("not_found", failure({ kubeconfig = write("c", "kind: Config\n") }).kind)
  end)

  it("refuses a context that is not allowed", function()
    local path = config "server: 'https://h:1'"
    local err = failure { kubeconfig = path, allow_contexts = { "staging", "dev-*" } }
    assert.equal("denied", err.kind)
    assert.matches("main", err.message)
    assert.equal("main", ctz.k8s.connect({ kubeconfig = path, allow_contexts = { "ma*" } }).context)
    assert.equal("denied", failure({ kubeconfig = path, allow_contexts = {} }).kind)
    assert.equal("denied", failure({ kubeconfig = path, allow_contexts = { "m.in", "mai", "ain" } }).kind)
  end)

  it("refuses wrong fields with file and line", function()
    for _, case in ipairs {
      { "server: 7", "", ":6: server of the cluster" },
      { "server: ''", "", "no server" },
      { "server: 'https://h:1 x'", "", "is no address" },
      { "server: 'https://h:999999'", "", "is no address" },
      { "server: 'https://h', certificate-authority-data: '%%'", "", ":6: certificate%-authority%-data.*no base64" },
      { "server: 'https://h', certificate-authority-data: aGFsbG8=", "", "no PEM" },
      { "server: 'https://h', certificate-authority: x, insecure-skip-tls-verify: true", "", "one of them" },
      { "server: 'https://h', proxy-url: p", "", "no URL" },
      { "server: 'https://h'", "client-certificate: x", "without a client%-key" },
      { "server: 'https://h'", "token: a, username: b", "one of them" },
      { "server: 'https://h'", "exec: {command: x}", "apiVersion" },
      { "server: 'https://h'", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}", "v1alpha1" },
      { "server: 'https://h'", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1}", "interactiveMode" },
      { "server: 'https://h'", "exec: {apiVersion: client.authentication.k8s.io/v1}", "no command" },
    } do
      local err = refused(case[1], case[2])
      assert.equal("usage", err.kind, tostring(err))
      assert.matches(case[3], err.message)
      assert.matches(folder.path, err.message, 1, true)
    end
    assert.equal("unsupported", refused("server: 'https://h'", "auth-provider: {name: gcp}").kind)
  end)

  it("refuses files that are none", function()
    for name, text in pairs { list = "[1]", text = "hello", broken = "a: [", twice = "users: [{name: a}, {name: a}]",
      map = "clusters: {a: b}", nameless = "contexts: [{}]" } do
      local err = failure { kubeconfig = write("c", text) }
      assert.equal("usage", err.kind, name .. tostring(err))
      assert.matches(folder.path .. "/c", err.message, 1, true)
    end
  end)

  it("sends a token, a password, and the impersonated user", function()
    local server <close> = serve(rules(OK))
    for user, header in pairs { ["token: t0ken"] = "Bearer t0ken", ["username: u, password: p"] = "Basic dTpw" } do
      local client = ctz.k8s.connect { kubeconfig = config("server: '" .. server.url .. "'", user), as = "jane",
        as_groups = { "a", "b" } }
      assert.equal("x", client:get("ns/x").metadata.name)
      local asked = server:asked()
      local headers = asked[#asked].headers
      assert.equal(header, headers.authorization)
      assert.equal("jane", headers["impersonate-user"])
    end
  end)

  it("reads a token's file again when the server refuses the token", function()
    local server <close> = serve(rules({ path = "/namespaces/x", times = 1, status = 401,
      body = status(401, "Unauthorized", "Unauthorized") }, OK))
    local file = write("token", "old\n")
    local client = ctz.k8s.connect { kubeconfig = config("server: '" .. server.url .. "'", "tokenFile: token") }
    client:api_resources()
    ctz.fs.write(file, "new\n")
    assert.equal("x", client:get("ns/x").metadata.name)
    local asked = server:asked()
    assert.equal("Bearer old", asked[#asked - 1].headers.authorization)
    assert.equal("Bearer new", asked[#asked].headers.authorization)
  end)

  it("runs a credential plugin once until its token expires or is refused", function()
    local server <close> = serve(rules({ path = "/namespaces/x", times = 1, status = 401,
      body = status(401, "Unauthorized", "Unauthorized") }, OK))
    write("plugin", [[#!/bin/sh
echo run >>"$(dirname "$0")/runs"
printf %s "$KUBERNETES_EXEC_INFO" >"$(dirname "$0")/info"
n=$(wc -l <"$(dirname "$0")/runs")
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",
"status":{"token":"'$WORD-$1-$n'","expirationTimestamp":"2099-01-01T00:00:00Z"}}'
]])
    ctz.fs.chmod(folder.path .. "/plugin", "0755")
    local client = ctz.k8s.connect { kubeconfig = config("server: '" .. server.url .. "'",
      "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [a], interactiveMode: Never,"
      .. " env: [{name: WORD, value: w}], provideClusterInfo: true}") }
    ctz.map({ 1, 2, 3 }, function()
      client:get "ns/x"
    end)
    assert.equal("run\nrun\n", ctz.fs.read(folder.path .. "/runs"))
    local asked = server:asked()
    assert.equal("Bearer w-a-1", asked[1].headers.authorization)
    assert.equal("Bearer w-a-2", asked[#asked].headers.authorization)
    local info = ctz.json.decode(ctz.fs.read(folder.path .. "/info"))
    assert.equal(server.url, info.spec.cluster.server)
    assert.is_false(info.spec.interactive)
  end)

  it("tells what a credential plugin did wrong", function()
    local server <close> = serve(rules(OK))
    for _, case in ipairs {
      { "exit 3", "auth", "code 3" },
      { "echo 'log in first' >&2; exit 1", "auth", "log in first" },
      { "echo hello", "protocol", "no ExecCredential" },
      { [[echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1"}']], "protocol",
        "v1beta1" },
      { [[echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}']], "protocol",
        "neither" },
    } do
      write("plugin", "#!/bin/sh\n" .. case[1] .. "\n")
      ctz.fs.chmod(folder.path .. "/plugin", "0755")
      local client = ctz.k8s.connect { kubeconfig = config("server: '" .. server.url .. "'",
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: IfAvailable}") }
      local _, err = ctz.try(client.get, client, "ns/x")
      assert.equal(case[2], err.kind, tostring(err))
      assert.matches(case[3], err.message)
    end
    local client = ctz.k8s.connect { kubeconfig = config("server: '" .. server.url .. "'",
      "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never,"
      .. " installHint: get it somewhere}") }
    local _, err = ctz.try(client.get, client, "ns/x")
    assert.equal("not_found", err.kind)
    assert.equal("get it somewhere", err.hint)
  end)

  it("refuses a plugin that wants a terminal", function()
    local client = ctz.k8s.connect { kubeconfig = config("server: 'https://127.0.0.1:1'",
      "exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}") }
    local _, err = ctz.try(client.get, client, "ns/x")
    assert.equal("unsupported", err.kind)
    assert.matches("wants a terminal", err.message)
  end)

  it("is the service account of a pod where there is no file", function()
    write("token", "pod-token")
    write("namespace", "shop")
    local recipe = write("r.lua", ([[
      local cluster = require("ctz.kubernetes.kubeconfig").load{pod_folder = %q}
      local headers = {}
      cluster.authorize(headers, {})
      assert(cluster.server == "https://[fd00::1]:443" and cluster.namespace == "shop", cluster.server)
      assert(tostring(headers.Authorization):find "%%*%%*%%*" and cluster.tls.ca == nil)
    ]]):format(folder.path .. "/"))
    local program = require("ctz.core.host").program
    local env = { KUBERNETES_SERVICE_HOST = "fd00::1", KUBERNETES_SERVICE_PORT = "443", HOME = folder.path,
      KUBECONFIG = false }
    ctz.process.run({ program, "run", recipe }, { env = env })
    local err = failure { in_cluster = true }
    assert.equal("not_found", err.kind)
    assert.matches("no pod", err.message)
  end)

  it("renews an OIDC token and keeps it in the file", function()
    local function jwt(seconds)
      local function part(value)
        return ctz.base64.encode(ctz.json.encode(value), { url = true, pad = false })
      end
      return part { alg = "none" } .. "." .. part { exp = (ctz.time.now() + seconds) // 1 | 0 } .. ".sig"
    end
    local old, new = jwt(-60), jwt(3600)
    local issuer <close> = serve { { path = "^/token", method = "POST", body = { id_token = new,
      refresh_token = "refresh-two" } } }
    local about <close> = serve { { path = "openid", body = { token_endpoint = issuer.url .. "/token" } } }
    local server <close> = serve(rules(OK))
    local path = config("server: '" .. server.url .. "'", ("auth-provider: {name: oidc, config: {idp-issuer-url: '%s',"
      .. " client-id: me, client-secret: s, id-token: %s, refresh-token: refresh-one}}"):format(about.url, old))
    local client = ctz.k8s.connect { kubeconfig = path }
    client:get "ns/x"
    client:get "ns/x"
    assert.equal("Bearer " .. new, server:asked()[1].headers.authorization)
    assert.equal(1, #issuer:asked())
    assert.matches("refresh_token=refresh%-one", issuer:asked()[1].body)
    local text = ctz.fs.read(path)
    assert.is_truthy(text:find(new, 1, true) and text:find("refresh-two", 1, true))
    assert.is_nil(text:find(old, 1, true))
  end)
end)

describe("a client of kubernetes", function()
  before_each(function()
    folder = ctz.fs.tempdir()
  end)
  after_each(function()
    folder:close()
  end)

  local function connect(server)
    return ctz.k8s.connect { kubeconfig = config("server: '" .. server.url .. "'", "token: t") }
  end

  it("asks again when the server has too much to do", function()
    local server <close> = serve(rules({
      path = "/namespaces/x", times = 2, status = 429, headers = { ["Retry-After"] = "0" },
      body = status(429, "TooManyRequests", "slow down"),
    }, {
      path = "/namespaces/x", times = 1, status = 500,
      body = status(500, "InternalError", "etcdserver: leader changed"),
    }, OK))
    assert.equal("x", connect(server):get("ns/x").metadata.name)
  end)

  it("sends what changes something once when it may have been done", function()
    local server <close> = serve(rules({ path = "/namespaces", method = "POST", status = 500,
      body = status(500, "InternalError", "etcdserver: leader changed") }))
    local client = connect(server)
    local _, err = ctz.try(client.create, client, { apiVersion = "v1", kind = "Namespace", metadata = { name = "x" } })
    assert.equal(500, err.status)
    assert.is_true(err.retryable)
    local asked = server:asked()
    assert.equal("POST", asked[#asked].method)
    assert.equal("GET", asked[#asked - 1].method)
  end)

  it("goes on with a list that the server forgot, and gives no object twice", function()
    local function page(names, continue, version)
      local items = ctz.json.array {}
      for i, name in ipairs(names) do
        items[i] = { metadata = { name = name, namespace = "team" } }
      end
      return { kind = "PodList", apiVersion = "v1", metadata = { continue = continue, resourceVersion = version },
        items = items }
    end
    local expired = status(410, "Expired", "The provided continue parameter is too old")
    local with_token = status(410, "Expired", "The provided continue parameter is too old")
    with_token.metadata = { continue = "inconsistent" }
    for _, gone in ipairs { expired, with_token } do
      local server <close> = serve(rules({ path = "continue=one", status = 410, body = gone },
        { path = "continue=inconsistent", body = page({ "c", "d" }, nil, "9") },
        { path = "/pods", times = 1, body = page({ "a", "b" }, "one", "5") },
        { path = "/pods", body = page({ "a", "aa", "b", "c", "d" }, nil, "9") }))
      local names = {}
      for pod in connect(server):each "pods" do
        names[#names + 1] = pod.metadata.name
        assert.equal("Pod", pod.kind)
      end
      assert.same({ "a", "b", "c", "d" }, names)
    end
  end)

  it("finds kinds on servers without aggregated discovery, whatever group is down", function()
    local server <close> = serve({
      { path = "^/api$", body = { kind = "APIVersions", versions = { "v1" } } },
      { path = "^/apis$", body = { kind = "APIGroupList", groups = {
        { name = "apps", versions = { { version = "v1beta1" }, { version = "v1" } },
          preferredVersion = { version = "v1" } },
        { name = "down.example.com", versions = { { version = "v1" } }, preferredVersion = { version = "v1" } },
      } } },
      { path = "^/api/v1$", body = { kind = "APIResourceList", resources = {
        { name = "namespaces", singularName = "namespace", kind = "Namespace", namespaced = false, verbs = { "get" },
          shortNames = { "ns" } },
        { name = "namespaces/status", kind = "Namespace", verbs = { "get" } } } } },
      { path = "^/apis/apps/v1", body = { kind = "APIResourceList", resources = {
        { name = "deployments", singularName = "", kind = "Deployment", namespaced = true, verbs = { "get" } },
        { name = "deployments/scale", kind = "Scale", verbs = { "get" } } } } },
      { path = "^/apis/down", status = 503, body = status(503, "ServiceUnavailable", "down") },
      { path = "/deployments/web", body = { kind = "Deployment", metadata = { name = "web" } } }, OK,
    })
    local client = connect(server)
    local list = client:api_resources()
    assert.same({ "down.example.com/v1" }, list.broken)
    assert.equal("x", client:get("ns/x").metadata.name)
    client:get("deployment", "web")
    local asked = server:asked()
    assert.equal("/apis/apps/v1/namespaces/team/deployments/web", asked[#asked].path)
    client:get("deployments.v1beta1.apps/web")
    asked = server:asked()
    assert.equal("/apis/apps/v1beta1/namespaces/team/deployments/web", asked[#asked].path)
    local _, err = ctz.try(client.get, client, "widget/x")
    assert.matches("down.example.com/v1", err.hint, 1, true)
  end)

  it("keeps integers, empty lists, empty maps and nulls", function()
    local text = '{"apiVersion":"v1","kind":"Namespace","metadata":{"labels":{},"name":"x","ownerReferences":[]},'
      .. '"spec":{"big":9223372036854775807,"none":null,"small":-9007199254740993}}'
    local server <close> = serve(rules({ path = "/namespaces/x", method = "GET", body = text,
      headers = {} }, { path = "/namespaces/x", method = "PUT", body = OK.body }))
    local client = connect(server)
    local object = ctz.json.decode(client:get "ns/x")
    client:replace(object)
    local asked = server:asked()
    assert.equal(text, asked[#asked].body)
  end)

  it("names every field that the server refuses", function()
    local body = status(422, "Invalid", "Namespace is invalid")
    body.details = { causes = { { field = "spec.a", message = "Required value", reason = "FieldValueRequired" },
      { field = "spec.b", message = "Invalid value: 7" } } }
    local server <close> = serve(rules({ path = "/namespaces", method = "POST", status = 422, body = body }))
    local client = connect(server)
    local _, err = ctz.try(client.create, client, { apiVersion = "v1", kind = "Namespace", metadata = { name = "x" } })
    assert.equal("usage", err.kind)
    assert.equal("spec.b", err.causes[2].field)
    assert.matches("spec.a: Required value", err.message)
    assert.matches("spec.b: Invalid value: 7", err.message)
  end)

  it("tells a server that is none, and one that is not there", function()
    local server <close> = serve {}
    local _, err = ctz.try(connect(server).get, connect(server), "ns/x")
    assert.is_true(err:is "kubernetes")
    local client = ctz.k8s.connect { kubeconfig = config "server: 'http://127.0.0.1:1'" }
    _, err = ctz.try(client.get, client, "ns/x")
    assert.equal("unreachable", err.kind)
    assert.matches("context main", err.message)
  end)
end)
