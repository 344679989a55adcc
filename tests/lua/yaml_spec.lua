-- yaml_spec.lua: ctz.yaml.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json, yaml = ctz.json, ctz.yaml

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- The kind and message of the error that the call raises.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "no error was raised")
  return err.kind, err.message, err
end

local function refused(text, message, opts)
  local kind, got = failure(yaml.decode, text, opts)
  assert.equal("protocol", kind)
  assert.equal(message, got)
end

-- What the text means, as JSON.
local function meaning(text, opts)
  return json.encode(yaml.decode(text, opts))
end

local function equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not equal(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return json.is_array(a) == json.is_array(b)
end

describe("yaml.decode", function()
  it("reads mappings, sequences and all styles of strings", function()
    local text = [[
# a comment
name: web
ports: [80, 443]
env:
- {name: A, value: "x\ty"}
- name: B
  value: 'it''s'
script: |
  echo one

  exit 0
folded: >-
  one
  two
plain: several
  words
empty:
none: {}
nothing: []
]]
    assert.equal(
      [[{"empty":null,"env":[{"name":"A","value":"x\ty"},{"name":"B","value":"it's"}],"folded":"one two",]]
        .. [["name":"web","none":{},"nothing":[],"plain":"several words","ports":[80,443],]]
        .. [["script":"echo one\n\nexit 0\n"}]],
      meaning(text)
    )
  end)

  it("gives json.null and marked lists, as json does", function()
    local value = yaml.decode "a: ~\nb: []\nc: {}\n"
    assert.equal(json.null, value.a)
    assert.is_true(json.is_array(value.b))
    assert.is_false(json.is_array(value.c))
  end)

  it("gives null for a text without a document", function()
    for _, text in ipairs { "", "\n", "# comment\n", "---\n", "\xef\xbb\xbf" } do
      assert.equal(json.null, yaml.decode(text))
    end
  end)

  it("takes a byte order mark, UTF-16 with one, CRLF and a version directive", function()
    assert.equal('{"a":1}', meaning "\xef\xbb\xbfa: 1\n")
    assert.equal('{"a":1}', meaning "\xff\xfea\0:\0 \0001\0")
    assert.equal('{"a":1,"b":[2]}', meaning "a: 1\r\nb:\r\n- 2\r\n")
    assert.equal('{"a":1}', meaning "%YAML 1.2\n---\na: 1\n")
    refused("%YAML 2.0\n---\na: 1\n", "1:1: found incompatible YAML document near `%YAML 2.0`")
  end)

  it("reads JSON", function()
    local text = '{"a":[1,-2.5,true,false,null,"x\\u00e9\\n\\/"],"b":{},"c":[]}'
    assert.equal(json.encode(json.decode(text)), meaning(text))
  end)

  it("gives each alias a copy of its own", function()
    local value = yaml.decode "a: &x {list: [1, {n: 2}], e: []}\nb: *x\nc: [*x, *x]\n"
    assert.equal('{"e":[],"list":[1,{"n":2}]}', json.encode(value.b))
    value.b.list[2].n = 3
    assert.equal(2, value.a.list[2].n)
    assert.equal(2, value.c[1].list[2].n)
    assert.is_true(json.is_array(value.c[1].e))
  end)

  it("refuses aliases that have no meaning", function()
    refused("a: *b\nb: &b 1\n", '1:4: no anchor "b" stands before this near `a: *b`')
    refused("a: &a [*a]\n", '1:8: the anchor "a" contains itself near `a: &a [*a]`')
    refused("a: &a {b: {c: *a}}\n", '1:15: the anchor "a" contains itself near `a: &a {b: {c: *a}}`')
    assert.matches("no anchor", select(2, failure(yaml.decode_all, "--- &a 1\n--- *a\n")))
  end)

  it("refuses alias bombs before they go off", function()
    local lines = { "a0: &a0 [x, x, x, x, x, x, x, x, x]" }
    for i = 1, 30 do
      lines[#lines + 1] = ("a%d: &a%d [%s]"):format(i, i, ("*a" .. i - 1 .. ","):rep(9))
    end
    for _, schema in ipairs { "core", "k8s" } do
      local kind, message = failure(yaml.decode, table.concat(lines, "\n"), { schema = schema })
      assert.equal("size", kind)
      assert.matches("^%d+:%d+: aliases make up nearly all of the document", message)
    end
  end)

  it("bounds the number of aliases and the depth that they make", function()
    local many = "a: &a 1\nb: [" .. ("*a,1,"):rep(10001) .. "]"
    local kind, message = failure(yaml.decode, many)
    assert.equal("size", kind)
    assert.matches("more than 10000 aliases", message)
    local deep = ("["):rep(600) .. ("]"):rep(600)
    kind, message = failure(yaml.decode, ("a: &a %s\nb: %s*a%s"):format(deep, ("["):rep(600), ("]"):rep(600)))
    assert.equal("size", kind)
    assert.matches("nesting is deeper than 1000 levels", message)
  end)

  it("bounds depth at the events, in every notation", function()
    local nested = {}
    for i = 0, 1100 do
      nested[#nested + 1] = (" "):rep(i) .. "a:"
    end
    local texts = { ("["):rep(1000000), ("{a: "):rep(300000), ("- "):rep(1000000), table.concat(nested, "\n") }
    for _, text in ipairs(texts) do
      local kind, message, err = failure(yaml.decode, text)
      assert.equal("size", kind)
      assert.matches("^%d+:%d+: nesting is deeper than 1000 levels", message)
      assert.matches("yaml_depth", err.hint)
    end
    assert.equal(1, #yaml.decode(("["):rep(1000) .. ("]"):rep(1000)))
  end)

  it("refuses a million simple keys on one line", function()
    local _, message = failure(yaml.decode, ("a: "):rep(1000000))
    assert.matches("^1:5: mapping values are not allowed in this context", message)
    assert.equal("protocol", (failure(yaml.decode, ("? "):rep(1000000))))
  end)

  it("refuses what is not YAML, with line and column", function()
    local wrong = {
      ["a: [1, 2"] = "1:9: did not find expected ',' or ']' while parsing a flow sequence (which begins at 1:4)"
        .. " near `a: [1, 2`",
      ["a:\n  - b\n c: 1"] = "3:2: did not find expected key while parsing a block mapping (which begins at 1:1)"
        .. " near ` c: 1`",
      ["a:\n\tb: 2"] = "2:1: found character that cannot start any token while scanning for the next token"
        .. " (which begins at 2:1) near `.b: 2`",
      ["é: 'x"] = "1:6: found unexpected end of stream while scanning a quoted scalar (which begins at 1:4)"
        .. " near `é: 'x`",
      ["a: b: c"] = "1:5: mapping values are not allowed in this context near `a: b: c`",
      ["a: \1b"] = "1:4: control characters are not allowed at byte 4 near `a: .b`",
      ["a: \0b"] = "1:4: control characters are not allowed at byte 4 near `a: .b`",
      ["a: \xff"] = "1:4: invalid leading UTF-8 octet at byte 4 near `a: .`",
      ["? [a]\n: b"] = "1:3: a key must be a scalar near `? [a]`",
      ["{{a: 1}: b}"] = "1:2: a key must be a scalar near `{{a: 1}: b}`",
    }
    for text, message in pairs(wrong) do
      refused(text, message)
    end
    refused("a: [", "x.yaml:1:5: did not find expected node content while parsing a flow node"
      .. " (which begins at 1:5) near `a: [`", { name = "x.yaml" })
  end)

  it("refuses a second document and says what to call", function()
    local kind, message, err = failure(yaml.decode, "a: 1\n---\nb: 2\n")
    assert.equal("protocol", kind)
    assert.equal("2:1: a second document begins here near `---`", message)
    assert.matches("decode_all", err.hint)
    assert.equal('{"a":1}', meaning "---\na: 1\n...\n")
  end)

  it("reads !!binary as bytes", function()
    assert.equal("\0\xff\n", yaml.decode "!!binary AP8K")
    assert.equal("foobar", yaml.decode "!!binary |\n  Zm9v\n  YmFy\n")
    refused("!!binary '*'", "1:1: the !!binary is not base64 near `!!binary '*'`")
  end)

  it("checks its arguments", function()
    local _, message = failure(yaml.decode, {})
    assert.equal("bad argument 'text' to 'yaml.decode': expected string, got table", message)
    _, message = failure(yaml.decode, "", { schema = "json" })
    assert.equal("bad argument 'opts.schema' to 'yaml.decode': expected one of core, k8s, got \"json\"", message)
    _, message = failure(yaml.decode_all, "", { shema = "k8s" })
    assert.equal("unknown option 'shema' to 'yaml.decode_all'; did you mean 'schema'?", message)
  end)
end)

describe("yaml.decode with schema core", function()
  it("resolves plain scalars by the table of YAML 1.2.2, section 10.3.2", function()
    local cases = {
      { json.null, "", "~", "null", "Null", "NULL" },
      { true, "true", "True", "TRUE" },
      { false, "false", "False", "FALSE" },
      { 12, "12", "+12", "012", "0o14", "0xc", "0x0C" },
      { -7, "-7", "-007" },
      { 0.5, "0.5", ".5", "+.5", "5e-1", "0.5e0" },
      { 1000.0, "1e3", "1.e3", "1E+3", "1000.0" },
      { math.huge, ".inf", ".Inf", "+.INF" },
      { -math.huge, "-.inf" },
    }
    for _, case in ipairs(cases) do
      for i = 2, #case do
        local value = yaml.decode("v: " .. case[i]).v
        assert.equal(case[1], value)
        assert.equal(math.type(case[1]), math.type(value))
      end
    end
    local nan = yaml.decode(".nan")
    assert.is_true(nan ~= nan)
    local strings = {
      "yes", "no", "on", "off", "y", "n", "1_000", "0b11", "1:30", "0o8", "0xg", "-0x1", "2001-01-01", "tRUE", "nil",
      "1.2.3", "e1", "=", "<<", ".", "-.nan", "12e", "1,000", "inf",
    }
    for _, text in ipairs(strings) do
      assert.equal(text, yaml.decode("v: " .. text).v)
    end
  end)

  it("takes quoted and block scalars as strings", function()
    assert.equal('["1","true","~","null\\n"]', meaning "- '1'\n- \"true\"\n- '~'\n- |\n  null\n")
  end)

  it("keeps integers exact and refuses those beyond 64 bits, or rounds them when asked to", function()
    for _, text in ipairs { "9223372036854775807", "-9223372036854775808", "9007199254740993" } do
      assert.equal(text, meaning(text))
    end
    assert.equal(math.maxinteger, yaml.decode "0x7fffffffffffffff")
    for _, text in ipairs { "9223372036854775808", "-9223372036854775809", "0x8000000000000000" } do
      local message = '1:4: %s does not fit into 64 bits (put it in quotes, or decode with big="float") near `v: %s`'
      refused("v: " .. text, message:format(text, text))
    end
    assert.equal(2.0 ^ 63, yaml.decode("9223372036854775808", { big = "float" }))
    assert.equal(2.0 ^ 63, yaml.decode("0x8000000000000000", { big = "float" }))
    assert.equal(2.0 ^ 64, yaml.decode("0o2000000000000000000000", { big = "float" }))
    assert.matches("1e400 does not fit into a float", select(2, failure(yaml.decode, "1e400")))
    assert.equal("-0.0", meaning "-0")
  end)

  it("keeps keys as they are written", function()
    assert.equal('{"1":1,"1.10":2,"n":3,"null":5,"true":4,"~":7}',
      meaning "1: 1\n1.10: 2\nn: 3\ntrue: 4\nnull: 5\n~: 7\n")
    assert.equal('{"<<":{"x":1}}', meaning "<<: {x: 1}\n")
  end)

  it("refuses keys that stand twice", function()
    refused("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", '5:3: the key "c" stands twice in one mapping near `  c: 3`')
    refused("1: a\n'1': b\n", "2:1: the key \"1\" stands twice in one mapping near `'1': b`")
    refused("{a: 1, a: 1}", '1:8: the key "a" stands twice in one mapping near `{a: 1, a: 1}`')
  end)

  it("takes YAML's own tags and refuses all others", function()
    assert.equal('["1","",5,5.0,true,null,{"a":1},[1]]', meaning([[
- !!str 1
- !!str
- !!int '5'
- !!float 5
- !!bool "true"
- !!null ''
- !!map {a: 1}
- !!seq [1]
]]))
    assert.equal("5", yaml.decode "! 5")
    refused("!!int foo", '1:1: "foo" is not a !!int near `!!int foo`')
    refused("!!int 5.5", '1:1: "5.5" is not a !!int near `!!int 5.5`')
    refused("!!bool yes", '1:1: "yes" is not a !!bool near `!!bool yes`')
    local foreign = {
      ["a: !Ref b"] = "!Ref", ["a: !!set {b}"] = "!!set", ["a: !!timestamp 2001"] = "!!timestamp",
      ["a: !!map [1]"] = "!!map", ["a: !<x:y> b"] = "x:y", ["a: !!omap [b: 1]"] = "!!omap",
    }
    for text, tag in pairs(foreign) do
      local kind, message = failure(yaml.decode, text)
      assert.equal("unsupported", kind)
      assert.equal(("1:4: the tag %s has no meaning here near `%s`"):format(tag, text), message)
    end
  end)

  it("takes an alias as a key when it stands for a string", function()
    assert.equal('{"a":"x","x":1}', meaning "a: &a x\n*a : 1\n")
    assert.equal('{"k":1,"v":"k"}', meaning "&a k: 1\nv: *a\n")
    assert.matches("must stand for a string", select(2, failure(yaml.decode, "a: &a [1]\n*a : 1\n")))
  end)
end)

describe("yaml.decode with schema k8s", function()
  local fixture = json.decode(read "tests/fixtures/yaml-k8s-scalars.json")

  -- Where ctz differs from kubectl, and why.
  local differs = {
    ['a: "\\/"\n'] = "YAML 1.2 and JSON have this escape; Go's reader, which is older, has not",
  }

  it("reads what kubectl reads", function()
    local count = 0
    for _, case in ipairs(fixture.cases) do
      local opts = { schema = "k8s", strict = case.strict, big = "float" }
      local ok, value = pcall(yaml.decode, case.yaml, opts)
      local name = ("%q%s"):format(case.yaml, case.strict and " (strict)" or "")
      if not differs[case.yaml] and case.error then
        -- Of keys 1 and "1" Go's strict reader lets one win by chance.
        assert.is_false(ok, name .. " is refused by kubectl: " .. case.error)
      elseif not differs[case.yaml] and not (case.strict and case.yaml == "1: a\n'1': b\n") then
        assert.is_true(ok, name .. " is read by kubectl: " .. tostring(value))
        assert.is_true(equal(json.decode(case.json, { big = "float" }), value), name .. ": " .. json.encode(value))
      end
      count = count + 1
    end
    assert.is_true(count > 400)
  end)

  it("refuses integers beyond 64 bits, which kubectl keeps or rounds", function()
    for _, text in ipairs { "9223372036854775808", "18446744073709551616", "0xffffffffffffffff" } do
      local kind, message = failure(yaml.decode, "v: " .. text, { schema = "k8s" })
      assert.equal("protocol", kind)
      assert.matches("does not fit into 64 bits", message)
    end
  end)

  it("refuses keys that stand twice only when it is strict", function()
    assert.equal('{"a":2}', meaning("a: 1\na: 2\n", { schema = "k8s" }))
    local message = '2:1: the key "a" stands twice in one mapping near `a: 2`'
    refused("a: 1\na: 2\n", message, { schema = "k8s", strict = true })
  end)

  it("merges copies", function()
    local value = yaml.decode("a: &a {x: {w: 1}}\nb:\n  <<: *a\n  z: 2\n", { schema = "k8s" })
    value.b.x.w = 2
    assert.equal(1, value.a.x.w)
  end)
end)

describe("yaml.decode_all", function()
  it("gives a list of documents", function()
    assert.equal('[{"a":1},[2],null,"x"]', json.encode(yaml.decode_all "a: 1\n---\n- 2\n---\n---\nx\n"))
    assert.equal("[]", json.encode(yaml.decode_all ""))
  end)

  it("passes over documents that hold nothing with schema k8s, as kubectl does", function()
    local text = "---\n# only a comment\n---\nkind: A\n---\n---\nnull\n---\nkind: B\n"
    assert.equal('[{"kind":"A"},{"kind":"B"}]', json.encode(yaml.decode_all(text, { schema = "k8s" })))
  end)
end)

describe("yaml.encode", function()
  it("writes block style with sorted keys, as kubectl prints it", function()
    local value = {
      kind = "Deployment",
      spec = {
        replicas = 2, paused = false, note = json.null, args = json.array(), labels = {}, ratio = 0.5,
        containers = { { name = "web", command = { "sh", "-c", "echo hi\nexit 0\n" } }, { name = "log" } },
        matrix = { { 1, 2 }, { 3, { a = 1, b = { 2 } } } },
      },
    }
    assert.equal([[
kind: Deployment
spec:
  args: []
  containers:
  - command:
    - sh
    - -c
    - |
      echo hi
      exit 0
    name: web
  - name: log
  labels: {}
  matrix:
  - - 1
    - 2
  - - 3
    - a: 1
      b:
      - 2
  note: null
  paused: false
  ratio: 0.5
  replicas: 2
]], yaml.encode(value))
  end)

  it("writes single values", function()
    local texts = {
      ["x\n"] = "x", ["5\n"] = 5, ["null\n"] = json.null, ["[]\n"] = json.array(), ["{}\n"] = {},
      ["|\n  a\n  b\n"] = "a\nb\n", ["- 1\n"] = { 1 }, ["true\n"] = true,
    }
    for text, value in pairs(texts) do
      assert.equal(text, yaml.encode(value))
    end
  end)

  it("quotes what a reader of any schema may take for something else", function()
    local quoted = {
      "yes", "no", "on", "n", "~", "null", "1", "1.20", "0o7", "012", "1_000", "1e3", ".inf", "0x1f", "1:30",
      "2001-01-01", "=", "<<", "", " a", "a ", "a: b", "a:", "a #b", "- x", "-", "---", "...", "#a", "*a",
      "&a", "!a", "|", ">", "%a", "@a", "`a", "{a", "[a", "'a", '"a', "?", "a\tb", "\x7f", "\u{85}",
      "\u{feff}", "a\rb",
    }
    for _, text in ipairs(quoted) do
      assert.equal('"', yaml.encode(text):sub(1, 1), text)
      assert.equal('"', yaml.encode({ [text] = 1 }):sub(1, 1), text)
    end
    local plain = {
      "web", "nginx:1.25", "a b", "http://x/y?z=1#f", "v1.2.3", "-x", "--flag=1", "/bin/sh", "é☕", "yesno",
      "1.2.3-alpine", "$HOME", "a,b", "a[1]",
    }
    for _, text in ipairs(plain) do
      assert.equal(text .. "\n", yaml.encode(text))
    end
  end)

  it("gives back every nasty string, as a value and as a key, in both schemas", function()
    local strings = json.decode(read "tests/fixtures/yaml-nasty.json").strings
    local value = { list = strings, map = {}, keys = {}, nested = {} }
    for i, text in ipairs(strings) do
      value.map[("k%03d"):format(i)] = text
      value.keys[text] = i
      value.nested[i] = { { text }, { a = text, [text] = text } }
      for _, schema in ipairs { "core", "k8s" } do
        assert.equal(text, yaml.decode(yaml.encode(text), { schema = schema }))
      end
    end
    local text = yaml.encode(value)
    for _, schema in ipairs { "core", "k8s" } do
      assert.equal(json.encode(value), json.encode(yaml.decode(text, { schema = schema })))
    end
    -- sigs.k8s.io/yaml 1.6.0, go.yaml.in/yaml/v3 3.0.6 and PyYAML 6.0.3 read this file back to the strings.
    assert.equal(read "tests/fixtures/yaml-nasty.yaml", text)
  end)

  it("gives back integers and floats exactly", function()
    for _, value in ipairs { 0, math.maxinteger, math.mininteger, 1.0, 0.1, 1e100, 5e-324, -2.5e-7, 2.0 ^ 63, 1e15 } do
      local again = yaml.decode(yaml.encode(value))
      assert.equal(value, again)
      assert.equal(math.type(value), math.type(again))
    end
    assert.equal("1.0e+100\n", yaml.encode(1e100))
    assert.equal(".inf\n", yaml.encode(math.huge))
    assert.equal("-.inf\n", yaml.encode(-math.huge))
    assert.equal(".nan\n", yaml.encode(0 / 0))
    local kind, message = failure(yaml.encode, { a = 0 / 0 }, { schema = "k8s" })
    assert.equal("usage", kind)
    assert.equal("a: NaN is not a number in JSON", message)
  end)

  it("gives back keys of any length", function()
    for _, size in ipairs { 149, 150, 151, 1000, 5000 } do
      local value = {
        [("k"):rep(size)] = { { a = { 1 } } },
        [("\u{85}"):rep(size)] = { x = 1, y = {} },
        [("\n"):rep(size)] = "a\nb",
      }
      for _, schema in ipairs { "core", "k8s" } do
        assert.equal(json.encode(value), json.encode(yaml.decode(yaml.encode(value), { schema = schema })))
      end
    end
  end)

  it("names the path of what it cannot write", function()
    local kind, message = failure(yaml.encode, { spec = { args = { "a", print } } })
    assert.equal("usage", kind)
    assert.equal("spec.args[2]: a function cannot be written as YAML", message)
    assert.equal("a: the string is not UTF-8 at byte 2", select(2, failure(yaml.encode, { a = "x\xff" })))
    assert.equal('["\xff"]: the string is not UTF-8 at byte 1', select(2, failure(yaml.encode, { ["\xff"] = 1 })))
    local own = {}
    own[1] = { a = own }
    assert.equal("[1].a: the table contains itself", select(2, failure(yaml.encode, own)))
  end)

  it("bounds what it writes", function()
    local bomb = { ("x"):rep(1000) }
    for _ = 1, 40 do
      bomb = { bomb, bomb }
    end
    local kind, message = failure(yaml.encode, bomb)
    assert.equal("size", kind)
    assert.equal("the YAML text grows beyond 67108864 bytes", message)
  end)
end)
