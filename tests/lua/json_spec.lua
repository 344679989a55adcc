-- json_spec.lua: ctz.json.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = ctz.json

-- The kind and message of the error that the call raises.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "no error was raised")
  return err.kind, err.message, err
end

local function refused(text, message, opts)
  local kind, got = failure(json.decode, text, opts)
  assert.equal("protocol", kind)
  assert.equal(message, got)
end

local function unwritable(value, message)
  local kind, got = failure(json.encode, value)
  assert.equal("usage", kind)
  assert.equal(message, got)
end

describe("json.decode", function()
  it("reads every kind of value", function()
    local value = json.decode ' {"s" : "x", "n":[1,-2.5,1e2],\n"t":true,\t"f":false,"z":null,"o":{}}\r\n'
    assert.same({ "x", true, false, json.null }, { value.s, value.t, value.f, value.z })
    assert.same({ 1, -2.5, 100.0 }, value.n)
    assert.equal("float", math.type(value.n[3]))
    assert.equal(nil, next(value.o))
    assert.equal(json.null, json.decode "null")
  end)

  it("gives ordinary tables", function()
    local value = json.decode '{"list":["a","b","c"]}'
    local seen = {}
    for i, item in ipairs(value.list) do
      seen[i] = item
    end
    assert.same({ "a", "b", "c" }, seen)
    assert.equal(3, #value.list)
    table.insert(value.list, "d")
    setmetatable(value.list, nil)
    assert.equal('{"list":["a","b","c","d"]}', json.encode(value))
  end)

  it("keeps integers exact up to 64 bits", function()
    local integers = { "9007199254740993", "9223372036854775807", "-9223372036854775808", "0", "100000000000000" }
    for _, text in ipairs(integers) do
      local value = json.decode(text)
      assert.equal("integer", math.type(value))
      assert.equal(text, json.encode(value))
    end
  end)

  it("refuses integers beyond 64 bits, or rounds them when asked to", function()
    for _, text in ipairs { "9223372036854775808", "-9223372036854775809", "18446744073709551615" } do
      local message = '1:1: the integer does not fit into 64 bits (decode with big="float" to round it) near `%s`'
      refused(text, message:format(text))
    end
    assert.equal(2.0 ^ 64, json.decode("18446744073709551615", { big = "float" }))
    assert.equal(math.maxinteger, json.decode("9223372036854775807", { big = "float" }))
  end)

  it("keeps the sign of a zero", function()
    assert.equal("-0.0", json.encode(json.decode "-0"))
    assert.equal("-0.0", json.encode(json.decode "-0.0"))
    assert.equal("0", json.encode(json.decode "0"))
  end)

  it("reads floats as strtod does, and refuses what is beyond them", function()
    assert.equal(0x1.fffffffffffffp+1023, json.decode "1.7976931348623157e308")
    assert.equal(0x0.0000000000001p-1022, json.decode "4.9e-324")
    assert.equal(0.1 + 0.2, json.decode "0.30000000000000004")
    assert.equal(0.0, json.decode "1e-400")
    refused("[1e400]", "1:2: the number is beyond what a float can hold near `[1e400]`")
  end)

  it("reads escapes and surrogate pairs", function()
    assert.equal('"\\/\b\f\n\r\t', json.decode [["\"\\\/\b\f\n\r\t"]])
    assert.equal("é€😀\0", json.decode [["\u00e9\u20AC\ud83d\ude00\u0000"]])
    assert.equal(("x"):rep(5000) .. "\n", json.decode('"' .. ("x"):rep(5000) .. '\\n"'))
    assert.equal("\u{2028}\u{10ffff}", json.decode '"\u{2028}\u{10ffff}"')
  end)

  it("names line and column, counted in characters", function()
    refused('{"a":1,\n "é": tru}', "2:7: expected a value, got 't' near ` \"é\": tru}`")
    refused('{"a":1,\r "b": tru}', "2:7: expected a value, got 't' near ` \"b\": tru}`")
    local message = "deploy.json:1:8: expected ',' or '}', got '\"' near `{\"a\":1 \"b\"}`"
    refused('{"a":1 "b"}', message, { name = "deploy.json" })
  end)

  it("refuses what is not JSON", function()
    local wrong = {
      [""] = "1:1: the text ends, but a value is expected",
      ["  "] = "1:3: the text ends, but a value is expected near `  `",
      ["["] = "1:2: the text ends, but a value is expected near `[`",
      ["[1,]"] = "1:4: expected a value, got ']' near `[1,]`",
      ["[,1]"] = "1:2: expected a value, got ',' near `[,1]`",
      ["[1 2]"] = "1:4: expected ',' or ']', got '2' near `[1 2]`",
      ["[1}"] = "1:3: expected ',' or ']', got '}' near `[1}`",
      ['{"a"}'] = "1:5: expected ':' after the key, got '}' near `{\"a\"}`",
      ['{"a":1,}'] = "1:8: expected a key in double quotes, got '}' near `{\"a\":1,}`",
      ["{a:1}"] = "1:2: expected a key in double quotes, got 'a' near `{a:1}`",
      ["{1:1}"] = "1:2: expected a key in double quotes, got '1' near `{1:1}`",
      ["'a'"] = "1:1: a string in JSON has double quotes near `'a'`",
      ["1 // one"] = "1:3: the text goes on after its value near `1 // one`",
      ["[1, /* x */ 2]"] = "1:5: JSON has no comments near `[1, /* x */ 2]`",
      ["[1]]"] = "1:4: the text goes on after its value near `[1]]`",
      ["{} {}"] = "1:4: the text goes on after its value near `{} {}`",
      ["NaN"] = "1:1: expected a value, got 'N' near `NaN`",
      ["Infinity"] = "1:1: expected a value, got 'I' near `Infinity`",
      ["-Infinity"] = "1:2: expected a digit, got 'I' near `-Infinity`",
      ["0x10"] = "1:2: the text goes on after its value near `0x10`",
      ["0123"] = "1:1: a number does not begin with 0 near `0123`",
      ["-012"] = "1:1: a number does not begin with 0 near `-012`",
      ["1."] = "1:3: the text ends, but a digit after the point is expected near `1.`",
      [".5"] = "1:1: expected a value, got '.' near `.5`",
      ["+1"] = "1:1: expected a value, got '+' near `+1`",
      ["1e"] = "1:3: the text ends, but a digit in the exponent is expected near `1e`",
      ["1e+x"] = "1:4: expected a digit in the exponent, got 'x' near `1e+x`",
      ["True"] = "1:1: expected a value, got 'T' near `True`",
      ["nul"] = "1:1: expected a value, got 'n' near `nul`",
      ['"abc'] = "1:1: the string that begins here does not end near `\"abc`",
      ['"abc\\'] = "1:1: the string that begins here does not end near `\"abc\\`",
      ['"abc\\"'] = "1:1: the string that begins here does not end near `\"abc\\\"`",
      ['"a\nb"'] = "1:3: a control character in a string is written as \\u000a near `\"a`",
      ['"a\0b"'] = "1:3: a control character in a string is written as \\u0000 near `\"a.b\"`",
      ['"\\x41"'] = "1:2: no such escape in JSON near `\"\\x41\"`",
      ['"\\u12G4"'] = "1:6: expected a hexadecimal digit, got 'G' near `\"\\u12G4\"`",
      ["\f1"] = "1:1: expected a value near `.1`",
      ["12\0"] = "1:3: the text goes on after its value near `12.`",
    }
    for text, message in pairs(wrong) do
      refused(text, message)
    end
  end)

  it("refuses half surrogate pairs", function()
    refused([["\ud800"]], "1:2: \\ud800 is half of a surrogate pair near `\"\\ud800\"`")
    refused([["\ud800\u0041"]], "1:2: \\ud800 is half of a surrogate pair near `\"\\ud800\\u0041\"`")
    refused([["\ude00"]], "1:2: \\ude00 is the second half of a surrogate pair near `\"\\ude00\"`")
  end)

  it("refuses bytes that are not UTF-8 and names the byte", function()
    local wrong = {
      "\xff", "\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc3",
    }
    for _, bytes in ipairs(wrong) do
      local kind, message = failure(json.decode, '{"ab":"' .. bytes .. '"}')
      assert.equal("protocol", kind)
      assert.matches("^1:8: the text is not UTF%-8 at byte 8 near", message)
    end
    assert.matches("not UTF%-8 at byte 3", select(2, failure(json.decode, '{"\xff":1}')))
  end)

  it("refuses a byte order mark and UTF-16 with a word about them", function()
    assert.matches("^1:1: the text begins with a byte order mark", select(2, failure(json.decode, "\xef\xbb\xbf[]")))
    for _, text in ipairs { "\xff\xfe[\0]\0", "\xfe\xff\0[\0]", "[\0]\0", "\0[\0]" } do
      assert.matches("^1:1: the text is not UTF%-8; it looks like UTF%-16", select(2, failure(json.decode, text)))
    end
  end)

  it("refuses a key that stands twice, where it stands again", function()
    refused('{"a":1,\n "b":2,\n "a":3}', '3:2: the key "a" stands twice in one object near ` "a":3}`')
    refused('{"a":1,"\\u0061":3}', '1:8: the key "a" stands twice in one object near `{"a":1,"\\u0061":3}`')
    local many = {}
    for i = 1, 1000 do
      many[i] = ('"k%d":%d'):format(i, i)
    end
    many[900] = '"k7":0'
    local text = "{" .. table.concat(many, ",") .. "}"
    assert.matches('^1:%d+: the key "k7" stands twice', select(2, failure(json.decode, text)))
    assert.equal(1, json.decode('[{"a":1},{"a":2}]')[1].a)
  end)

  it("bounds depth with a size error that names the limit", function()
    assert.equal(1, #json.decode(("["):rep(1000) .. ("]"):rep(1000)))
    for _, open in ipairs { "[", '{"a":' } do
      local kind, message, err = failure(json.decode, open:rep(1000000))
      assert.equal("size", kind)
      assert.matches("^1:%d+: nesting is deeper than 1000 levels", message)
      assert.matches("json_depth", err.hint)
    end
  end)

  it("takes long lists and objects, and lists of lists", function()
    local items, pairs_ = {}, {}
    for i = 1, 5000 do
      items[i] = ("[%d,[]]"):format(i)
      pairs_[i] = ('"k%d":{"v":[%d]}'):format(i, i)
    end
    local list = json.decode("[" .. table.concat(items, ",") .. "]")
    local object = json.decode("{" .. table.concat(pairs_, ",") .. "}")
    assert.equal(5000, #list)
    for i = 1, 5000 do
      assert.equal(i, list[i][1])
      assert.equal(i, object["k" .. i].v[1])
    end
    assert.equal("[" .. table.concat(items, ",") .. "]", json.encode(list))
  end)

  it("reads one value that begins at a place, and tells what is behind it", function()
    local text = ' {"a":[1,2], "b":null}, "rest'
    local value, behind = json.decode(text, { from = 1 })
    assert.equal(2, value.a[2])
    assert.equal(23, behind)
    value, behind = json.decode(text, { from = 7 })
    assert.equal(2, #value)
    assert.equal(",", text:sub(behind, behind))
    assert.equal(1, select("#", json.decode "1"))
    local _, message = failure(json.decode, text, { from = 25 })
    assert.matches("1:25: the string that begins here does not end", message)
    assert.matches("the text ends, but a value is expected", select(2, failure(json.decode, "1", { from = 2 })))
    assert.matches("expected 1 to 2, got 3", select(2, failure(json.decode, "1", { from = 3 })))
    assert.matches("expected 1 to 2, got 0", select(2, failure(json.decode, "1", { from = 0 })))
  end)

  it("checks its arguments", function()
    local _, message = failure(json.decode, 1)
    assert.equal("bad argument 'text' to 'json.decode': expected string, got number", message)
    _, message = failure(json.decode, "1", { bigs = 1 })
    assert.equal("unknown option 'bigs' to 'json.decode'; did you mean 'big'?", message)
    assert.equal("usage", (failure(json.decode, "1", { big = "double" })))
  end)
end)

describe("json.null", function()
  it("is one value that is neither nil nor false and prints as null", function()
    assert.equal("null", tostring(json.null))
    assert.equal(json.null, json.decode("[null]")[1])
    assert.is_true(json.null ~= nil and json.null and true)
    assert.equal('{"a":null}', json.encode { a = json.null })
  end)

  it("is the null of lua-cjson too", function()
    local cjson = require "cjson"
    assert.equal(cjson.null, json.null)
    assert.equal("[null]", json.encode(cjson.decode "[null]"))
  end)

  it("says what it is when it is indexed", function()
    local kind, message = failure(function()
      return json.null.spec
    end)
    assert.equal("usage", kind)
    assert.equal("attempt to index null (a JSON or YAML null) with 'spec'", message)
  end)
end)

describe("json.encode", function()
  it("writes keys in the order of their bytes", function()
    assert.equal(
      '{"":0,"A":1,"Z":2,"a":3,"aa":4,"ab":5,"abcdefgh":6,"abcdefghi":7,"abcdefghj":8,"é":9}',
      json.encode {
        a = 3, Z = 2, A = 1, ["é"] = 9, ab = 5, aa = 4, abcdefghi = 7, abcdefgh = 6, abcdefghj = 8, [""] = 0,
      }
    )
    local object, expected = {}, {}
    for i = 1000, 1999 do
      object["key" .. i] = i
      expected[#expected + 1] = ('"key%d":%d'):format(i, i)
    end
    assert.equal("{" .. table.concat(expected, ",") .. "}", json.encode(object))
  end)

  it("tells lists and objects apart as they were decoded or marked", function()
    for _, text in ipairs { "[]", "{}", '{"a":[],"b":{}}', "[[],{}]", '[{"x":[[]]}]' } do
      assert.equal(text, json.encode(json.decode(text)))
    end
    assert.equal('{"args":[],"labels":{}}', json.encode { args = json.array(), labels = json.object {} })
    assert.equal("{}", json.encode {})
    local list = json.array { 1 }
    list[1] = nil
    assert.equal("[]", json.encode(list))
  end)

  it("writes floats so that they come back, as floats", function()
    local floats = {
      [0.1] = "0.1", [0.5] = "0.5", [1e100] = "1e+100", [5e-324] = "5e-324", [1 / 3] = "0.3333333333333333",
      [1.7976931348623157e308] = "1.7976931348623157e+308", [1e300] = "1e+300", [-2.5e-7] = "-2.5e-07",
    }
    for float, text in pairs(floats) do
      assert.equal(text, json.encode(float))
      assert.equal(float, json.decode(text))
    end
    local integral = json.encode { 1.0, 1e15, 2.0 ^ 53, 123456789012345680.0 }
    assert.equal("[1.0,1e+15,9007199254740992.0,1.2345678901234568e+17]", integral)
    math.randomseed(7)
    for _ = 1, 2000 do
      local float = string.unpack("d", string.pack("j", math.random(0)))
      if float == float and float ~= math.huge and float ~= -math.huge then
        assert.equal(float, json.decode(json.encode(float)))
      end
    end
  end)

  it("escapes what JSON asks for and nothing else", function()
    local expected = [["\"\\/\b\f\n\r\t\u0000\u001f]] .. '\x7f\u{2028}é😀"'
    assert.equal(expected, json.encode '"\\/\b\f\n\r\t\0\x1f\x7f\u{2028}é😀')
  end)

  it("gives back every string of bytes below 0x80 and every scalar value", function()
    for size = 1, 40 do
      for c = 0, 127 do
        local text = ("a"):rep(size - 1) .. string.char(c) .. "b"
        assert.equal(text, json.decode(json.encode(text)))
      end
    end
    for c = 0x80, 0x10ffff, 251 do
      if c < 0xd800 or c > 0xdfff then
        local text = "x" .. utf8.char(c) .. "yz"
        assert.equal('"' .. text .. '"', json.encode(text))
        assert.equal(text, json.decode('"' .. text .. '"'))
      end
    end
  end)

  it("indents when asked to", function()
    local expected = '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ],\n  "c": {}\n}'
    assert.equal(expected, json.encode({ a = { 1, { b = json.array() } }, c = {} }, { indent = 2 }))
    assert.equal("[]", json.encode(json.array(), { indent = 2 }))
    assert.equal('[\n 1\n]', json.encode({ 1 }, { indent = 1 }))
  end)

  it("refuses with the path what has no form in JSON", function()
    local hole = "[2]: nothing is here but item [%d] follows: a list has no holes"
    unwritable({ spec = { args = { 1, nil, 3 } } }, "spec.args" .. hole:format(3))
    unwritable({ [1] = 1, [1000000000] = 2 }, hole:format(1000000000))
    unwritable({ a = { 1, x = 2 } }, 'a: a table with list items and the key "x" is neither a list nor an object')
    unwritable({ a = { { b = 0 / 0 } } }, "a[1].b: NaN is not a number in JSON")
    unwritable({ 1, -math.huge }, "[2]: infinity is not a number in JSON")
    unwritable({ spec = { args = { "a", "b", print } } }, "spec.args[3]: a function cannot be written as JSON")
    unwritable({ [true] = 1 }, "a boolean cannot be a key in JSON")
    local neither = "a table with the key %s is neither a list (1, 2, ... n) nor an object (strings)"
    unwritable({ x = { [1.5] = 1 } }, "x: " .. neither:format "1.5")
    unwritable({ [0] = 1 }, neither:format "0")
    unwritable({ ["app/name"] = { coroutine.create(print) } }, '["app/name"][1]: a thread cannot be written as JSON')
    unwritable({ io.stdout }, "[1]: a userdata cannot be written as JSON")
    unwritable(nil, "nil cannot be written as JSON")
    unwritable({ a = json.array { x = 1 } }, 'a: the table is marked as a list but has the key "x"')
    unwritable({ a = json.object { 1 } }, "a: the table is marked as an object but has list items")
    unwritable({ a = { "ok", "\xff" } }, "a[2]: the string is not UTF-8 at byte 1")
    unwritable({ ["k\xc3"] = 1 }, '["k\xc3"]: the string is not UTF-8 at byte 2')
  end)

  it("writes bytes that are not UTF-8 as U+FFFD when asked to", function()
    assert.equal('{"a\u{fffd}":"é\u{fffd}\u{fffd}b"}', json.encode({ ["a\xff"] = "é\x80\xc3b" }, { utf8 = "replace" }))
  end)

  it("refuses a table that contains itself and names where", function()
    local value = { a = { b = { 1, 2 } } }
    value.a.b[3] = value.a
    unwritable(value, "a.b[3]: the table contains itself")
    local own = {}
    own.own = own
    unwritable(own, "own: the table contains itself")
    local shared = { 1 }
    assert.equal('{"a":[1],"b":[1]}', json.encode { a = shared, b = shared })
  end)

  it("bounds depth and the size of what it writes", function()
    local deep = {}
    for _ = 1, 1000 do
      deep = { deep }
    end
    assert.equal("size", (failure(json.encode, deep)))
    assert.equal(json.encode(deep[1]), ("["):rep(999) .. "{}" .. ("]"):rep(999))
    local bomb = { ("x"):rep(1000) }
    for _ = 1, 40 do
      bomb = { bomb, bomb }
    end
    local kind, message, err = failure(json.encode, bomb)
    assert.equal("size", kind)
    assert.equal("the JSON text grows beyond 67108864 bytes", message)
    assert.matches("document_bytes", err.hint)
  end)

  it("works again after it has failed", function()
    for _ = 1, 100 do
      failure(json.encode, { a = { b = { print } } })
      assert.equal('{"a":1}', json.encode { a = 1 })
    end
  end)

  it("may be called by a finalizer in the middle of another call", function()
    local written
    setmetatable({}, {
      __gc = function()
        written = json.encode { x = { json.decode '{"y":[1]}' } }
      end,
    })
    local text = "[" .. ('{"a":[1,2,{"b":"c"}]},'):rep(5000) .. "0]"
    for _ = 1, 20 do
      assert.equal(text, json.encode(json.decode(text)))
    end
    collectgarbage()
    assert.equal('{"x":[{"y":[1]}]}', written)
  end)

  it("writes a secret as three stars, and so do yaml and inspect", function()
    local secret = ctz.secret "correct horse"
    assert.equal('{"password":"***"}', json.encode { password = secret })
    assert.equal('password: "***"\n', ctz.yaml.encode { password = secret })
    assert.equal("{ password = *** }", ctz.inspect { password = secret })
  end)

  it("writes errors as objects", function()
    local _, err = ctz.try(json.decode, "[")
    local value = json.decode(json.encode(err))
    assert.equal("protocol", value.kind)
    assert.equal("json.decode", value.op)
  end)

  it("checks its options", function()
    local _, message = failure(json.encode, 1, { indnt = 1 })
    assert.equal("unknown option 'indnt' to 'json.encode'; did you mean 'indent'?", message)
    assert.equal("usage", (failure(json.encode, 1, { indent = 1.5 })))
    assert.equal("usage", (failure(json.encode, 1, { utf8 = "maybe" })))
  end)
end)

describe("json.array and json.object", function()
  it("return the very table", function()
    local t = { 1 }
    assert.is_true(rawequal(t, json.array(t)))
    assert.is_true(rawequal(t, json.object(t)))
  end)

  it("refuse a table with a metatable of its own", function()
    local _, message = failure(json.array, setmetatable({}, {}))
    assert.equal("the table has a metatable of its own already", message)
    _, message = failure(json.array, "x")
    assert.equal("bad argument 't' to 'json.array': expected table, got string", message)
  end)
end)

describe("the door of json", function()
  it("gives the same null and the same marks when it is opened again", function()
    local list = json.array()
    local room = require("ctz.core.host").program:gsub("bin/ctz$", "lib/ctz/ctz_core_data.so")
    local again = assert(package.loadlib(room, "luaopen_ctz_core_data"))().json
    assert.are_not.equal(json.encode, again.encode)
    assert.equal('{"a":[],"b":null}', again.encode { a = list, b = json.null })
    assert.is_true(json.is_array(again.decode "[]"))
  end)
end)

describe("json.is_array", function()
  it("tells lists from everything else", function()
    for _, list in ipairs { json.array(), json.decode "[]", json.decode "[1]", { 1 }, { "a", "b" } } do
      assert.is_true(json.is_array(list))
    end
    for _, other in ipairs { {}, { a = 1 }, json.object(), json.decode "{}", "text", 1, true, json.null } do
      assert.is_false(json.is_array(other))
    end
    assert.is_false(json.is_array(nil))
  end)
end)
