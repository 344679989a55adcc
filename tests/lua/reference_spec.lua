-- reference_spec.lua: ctz.registry.reference. The tables are those of github.com/distribution/reference
-- (Apache-2.0): reference_test.go, normalize_test.go and regexp_test.go.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local reference = ctz.registry.reference

local F64 <const> = ("f"):rep(64)
local ID <const> = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a"

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  assert.equal("usage", err.kind)
  return err
end

local function problem(text)
  return failure(reference.parse, text).message
end

-- --- reference_test.go, TestReferenceParse: the full names of ParseNormalizedNamed -------------

describe("ctz.registry.reference.parse", function()
  local D = "docker.io"
  local rows = { -- text, domain, path, tag, digest
    { "test_com", D, "library/test_com" },
    { "test.com:tag", D, "library/test.com", "tag" },
    { "test.com:5000", D, "library/test.com", "5000" },
    { "test.com/repo:tag", "test.com", "repo", "tag" },
    { "test:5000/repo", "test:5000", "repo" },
    { "test:5000/repo:tag", "test:5000", "repo", "tag" },
    { "test:5000/repo@sha256:" .. F64, "test:5000", "repo", nil, "sha256:" .. F64 },
    { "test:5000/repo:tag@sha256:" .. F64, "test:5000", "repo", "tag", "sha256:" .. F64 },
    { "lowercase:Uppercase", D, "library/lowercase", "Uppercase" },
    { "sub-dom1.foo.com/bar/baz/quux", "sub-dom1.foo.com", "bar/baz/quux" },
    { "sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com", "bar/baz/quux", "some-long-tag" },
    { "b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io", "test.example.com/my-app", "test.example.com" },
    { "xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com" },
    { "xn--7o8h.com/myimage:xn--7o8h.com@sha512:" .. F64 .. F64, "xn--7o8h.com", "myimage", "xn--7o8h.com",
      "sha512:" .. F64 .. F64 },
    { "foo_bar.com:8080", D, "library/foo_bar.com", "8080" },
    { "foo/foo_bar.com:8080", D, "foo/foo_bar.com", "8080" },
    { "192.168.1.1", D, "library/192.168.1.1" },
    { "192.168.1.1:tag", D, "library/192.168.1.1", "tag" },
    { "192.168.1.1:5000", D, "library/192.168.1.1", "5000" },
    { "192.168.1.1/repo", "192.168.1.1", "repo" },
    { "192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050" },
    { "[2001:db8::1]/repo", "[2001:db8::1]", "repo" },
    { "[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]", "repo", "tag" },
    { "[2001:db8::1]:5000/repo", "[2001:db8::1]:5000", "repo" },
    { "[2001:db8::1]:5000/repo:tag@sha256:" .. F64, "[2001:db8::1]:5000", "repo", "tag", "sha256:" .. F64 },
    { "[::1]:5000/repo", "[::1]:5000", "repo" },
    { "test_com/foo", D, "test_com/foo" },
    { "docker/migrator", D, "docker/migrator" },
    { "test-com:8080/foo", "test-com:8080", "foo" },
    { "foo", D, "library/foo" },
    { "docker.io/foo", D, "library/foo" },
    { "docker.io/library/foo", D, "library/foo" },
    { "docker.io/library/foo/bar", D, "library/foo/bar" },
    { "index.docker.io/debian", D, "library/debian" },
    { "localhost/x", "localhost", "x" },
    { "localhost:8080/bar", "localhost:8080", "bar" },
    { "localhost@sha256:" .. F64, D, "library/localhost", nil, "sha256:" .. F64 },
    { "localhost:8080@sha256:" .. F64, D, "library/localhost", "8080", "sha256:" .. F64 },
    { "a/b:tag" .. ("x"):rep(125), D, "a/b", "tag" .. ("x"):rep(125) },
  }
  for _, row in ipairs(rows) do
    it("reads " .. row[1]:sub(1, 80), function()
      local ref = reference.parse(row[1])
      assert.same({ row[2], row[3], row[4] or false, row[5] or false },
        { ref.domain, ref.path, ref.tag or false, ref.digest or false })
      assert.equal(tostring(ref), reference.format(ref))
      assert.same(ref, reference.parse(tostring(ref)))
      assert.same(ref, reference.parse(reference.format(ref, { familiar = true })))
    end)
  end

  -- normalize_test.go, TestValidateReferenceName and TestValidateRemoteName
  for _, text in ipairs {
    "docker/docker", "library/debian", "debian", "docker.io/docker/docker", "docker.io/library/debian",
    "docker.io/debian", "index.docker.io/docker/docker", "index.docker.io/library/debian",
    "127.0.0.1:5000/docker/docker",
    "127.0.0.1:5000/library/debian", "127.0.0.1:5000/debian", "192.168.0.1", "192.168.0.1:80", "192.168.0.1:8/debian",
    "192.168.0.2:25000/debian", "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
    "[fc00::1]:5000/docker", "[fc00::1]:5000/docker/docker", "[fc00:1:2:3:4:5:6:7]:5000/library/debian",
    "docker.io/" .. ID, "Docker/docker", "DOCKER/docker", "docker-rules/docker", "docker---rules/docker", "doc/docker",
    "d/docker", "jess/t", "dock__er/docker",
    "registry.io/foo/project--id.module--name.ver---sion--name", "Asdf.com/foo/bar",
    "example.com/some_separator__underscore/myimage", "aa-a/a", "ab.c-om/x", "192.168.1.1:750050/x",
  } do
    it("takes " .. text, function()
      assert.equal("string", type(reference.parse(text).path))
    end)
  end

  for _, text in ipairs {
    "https://github.com/docker/docker", "docker/Docker", "-docker", "-docker/docker", "-docker.io/docker/docker",
    "docker///docker", "docker.io/docker/Docker", "docker.io/docker///docker", "[fc00::1]", "[fc00::1]:5000",
    "fc00::1:5000/debian", "[fe80::1%eth0]:5000/debian", "[2001:db8:3:4::192.0.2.33]:5000/debian", ID,
    "docker-/docker", "-docker-/docker", "____/____", "_docker/_docker", "dock..er/docker", "dock_.er/docker",
    "dock-.er/docker", "docker/", "docker./docker", ".docker/docker", "foo/bar-", "foo-/bar", "foo/-bar",
    ("this_is_not_a_valid_namespace_because_its_lenth_is_greater_than_255_"):rep(4) .. "/docker",
    "[2001:db8::1]:tag", "[2001:db8::1]:5000", "test.com:http/x", "foo.com:http/bar", "-ab.com/x", "ab-.com/x",
    "ab.-com/x", "ab.com-/x", "[fd00:1:2::3]75050/x", "[fd00:1:2::3]::75050/x", "bad_hostname.com:8080/myapp:tag",
    "do__cker:8080/docker", "registry.com:8080/myapp:invalid~tag", "registry.com:8080/myapp@bad",
    "registry.com:8080/myapp@sha256:badbadbadbad", "localhost:http/name@sha256:" .. F64, "a/a/a/a/", "a//a/a",
    "aa/asdf$$^/aa", "example.com/__underscore/myimage", "example.com/..dots/myimage", "example.com/.dots/myimage",
    "example.com/nodouble..dots/myimage", "", ":justtag", "@sha256:" .. F64, "foo.com/", "/", "a:", "a@", "a b", "a\n",
    "a:b:c", "a@sha256:" .. F64 .. "@sha256:" .. F64, "a:" .. ("t"):rep(129), "a\0b", "docker.io/",
    "a@sha256:" .. F64:upper(), "caf\u{e9}/x", "a@sha256+:" .. F64, "a@sha256+b64.u:" .. F64,
  } do
    it(("refuses %q"):format(text:sub(1, 60)), function()
      failure(reference.parse, text)
    end)
  end

  it("tells what is wrong", function()
    assert.equal('invalid reference "": repository name must have at least one component', problem "")
    assert.equal('invalid reference "Uppercase:tag": repository name must be lowercase', problem "Uppercase:tag")
    assert.equal('invalid reference "test:5000/Uppercase/lowercase:tag": repository name must be lowercase',
      problem "test:5000/Uppercase/lowercase:tag")
    assert.equal('"alpine" would be one', failure(reference.parse, "Alpine").hint)
    assert.matches("invalid checksum digest length: 34 hex digits, sha256 has 64",
      problem("repo@sha256:" .. ("f"):rep(34)), 1, true)
    assert.matches('unsupported digest algorithm "invaliddigest"', problem("validname@invaliddigest:" .. F64), 1, true)
    assert.matches("repository name must not be more than 255 characters", problem(("a/"):rep(128) .. "a:tag"), 1, true)
    assert.matches('"fc00::1:5000" is no host', problem "fc00::1:5000/debian", 1, true)
    assert.matches('invalid tag format: "-x"', problem "a:-x", 1, true)
    assert.matches("a tag has at most 128 characters", problem("a:" .. ("t"):rep(129)), 1, true)
    assert.matches("64 hex digits are the id of an image", problem(ID), 1, true)
    assert.equal('did you mean "ghcr.io/a/b"?', failure(reference.parse, "https://ghcr.io/a/b").hint)
    assert.equal("registry.reference.parse", failure(reference.parse, "").op)
    assert.is_true(#problem(("a"):rep(100000)) < 300)
  end)

  it("counts the path alone, as long as it may be", function()
    local ref = reference.parse("a.example/" .. ("a/"):rep(127) .. "a:tag-puts-this-over-max")
    assert.equal(255, #ref.path)
  end)

  it("adds the tag latest when asked, to a bare name only", function()
    assert.is_nil(reference.parse("alpine").tag)
    assert.equal("latest", reference.parse("alpine", { default_tag = true }).tag)
    assert.equal("3", reference.parse("alpine:3", { default_tag = true }).tag)
    assert.is_nil(reference.parse("alpine@sha256:" .. F64, { default_tag = true }).tag)
  end)

  it("refuses what is no text, and unknown options", function()
    for _, value in ipairs { 5, {}, true } do
      failure(reference.parse, value)
    end
    failure(reference.parse, nil)
    assert.matches("did you mean 'default_tag'", failure(reference.parse, "a", { defaulttag = true }).message, 1, true)
  end)
end)

describe("ctz.registry.reference.format", function()
  -- normalize_test.go, TestParseRepositoryInfo: full, familiar, a third way to write it
  for _, row in ipairs {
    { "docker.io/fooo/bar", "fooo/bar", "index.docker.io/fooo/bar" },
    { "docker.io/library/ubuntu", "ubuntu", "library/ubuntu" },
    { "docker.io/nonlibrary/ubuntu", "nonlibrary/ubuntu" },
    { "docker.io/other/library", "other/library" },
    { "127.0.0.1:8000/private/moonbase", "127.0.0.1:8000/private/moonbase" },
    { "127.0.0.1:8000/privatebase", "127.0.0.1:8000/privatebase" },
    { "example.com:8000/privatebasee", "example.com:8000/privatebasee" },
    { "docker.io/library/ubuntu-12.04-base", "ubuntu-12.04-base", "index.docker.io/library/ubuntu-12.04-base" },
    { "docker.io/library/foo", "foo", "docker.io/foo" },
    { "docker.io/library/foo/bar", "library/foo/bar" },
    { "docker.io/store/foo/bar", "store/foo/bar" },
    { "Foo/bar", "Foo/bar" },
    { "FOO/bar", "FOO/bar" },
    { "docker.io/library/redis:latest@sha256:" .. F64, "redis:latest@sha256:" .. F64 },
  } do
    it("gives " .. row[1]:sub(1, 60), function()
      for _, text in ipairs(row) do
        assert.equal(row[1], reference.format(reference.parse(text)))
        assert.equal(row[2], reference.format(reference.parse(text), { familiar = true }))
      end
    end)
  end

  it("takes parts made by hand", function()
    assert.equal("docker.io/library/alpine:3", reference.format { path = "alpine", tag = "3" })
    assert.equal("docker.io/library/alpine", reference.format { domain = "index.docker.io", path = "alpine" })
    assert.equal("ghcr.io/a/b@sha256:" .. F64,
      reference.format { domain = "ghcr.io", path = "a/b", digest = "sha256:" .. F64 })
  end)

  it("refuses parts that are none", function()
    assert.matches("invalid tag format", failure(reference.format, { path = "a", tag = "-foo" }).message, 1, true)
    assert.matches("invalid digest format", failure(reference.format, { path = "a", digest = "foo" }).message, 1, true)
    assert.matches("expected string, got nil", failure(reference.format, { tag = "a" }).message, 1, true)
    assert.matches("at least one component", failure(reference.format, { path = "" }).message, 1, true)
    assert.matches("path component", failure(reference.format, { path = "a:b" }).message, 1, true)
    assert.matches("is no host", failure(reference.format, { domain = "a/b", path = "x" }).message, 1, true)
    failure(reference.format, "alpine")
  end)
end)
