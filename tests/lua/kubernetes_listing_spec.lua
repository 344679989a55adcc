-- An answer that is a list, read item by item.
local ctz = require "ctz"
local listings = require "ctz.kubernetes.listing"

local function open(text)
  return listings.open(text, function(reason)
    error(reason, 0)
  end)
end

local function names_of(listing)
  local names = {}
  for item in listing.next, listing do
    names[#names + 1] = item.metadata.name
  end
  return table.concat(names, " ")
end

local function refusal(text)
  local ok, reason = pcall(function()
    return names_of(open(text))
  end)
  assert.is_false(ok)
  return reason
end

local A <const>, B <const> = '{"metadata":{"name":"a"}}', '{"metadata":{"name":"b"},"big":9223372036854775807}'

describe("kubernetes.listing", function()
  it("gives the items one by one, and the list's own fields", function()
    local listing = open('{"kind":"PodList","metadata":{"continue":"x"},"items":[' .. A .. "," .. B .. "]}\n")
    assert.equal("x", listing.head.metadata.continue)
    assert.equal("a", listing:next().metadata.name)
    assert.equal(math.maxinteger, listing:next().big)
    assert.is_nil(listing:next())
    assert.is_nil(listing:next())
    assert.is_nil(listing.head.items)
  end)

  it("has fields that stand behind the items when the last item was given", function()
    local listing = open(' { "items" : [ ' .. A .. " , " .. B .. ' ] , "metadata" : {"continue":"y"} } ')
    assert.is_nil(listing.head.metadata)
    assert.equal("a b", names_of(listing))
    assert.equal("y", listing.head.metadata.continue)
  end)

  it("takes a list without items: none, an empty one, null", function()
    for _, text in ipairs { "{}", '{"kind":"PodList"}', '{"items":[]}', '{"items":null,"kind":"PodList"}' } do
      assert.equal("", names_of(open(text)))
    end
  end)

  it("refuses what is no list, or ends too early, and says where", function()
    assert.equal("'{' is expected at byte 1", refusal "<html>")
    assert.equal("'{' is expected at byte 1", refusal "")
    assert.matches("the text ends", refusal "{")
    assert.matches("the text ends", refusal '{"items":[')
    assert.equal("',' or ']' is expected at byte 36", refusal('{"items":[' .. A))
    assert.equal("',' or '}' is expected at byte 37", refusal('{"items":[' .. A .. "]"))
    assert.equal("the end is expected at byte 38", refusal('{"items":[' .. A .. "]}x"))
    assert.matches("a value", refusal('{"items":[' .. A .. ",]}"))
    assert.equal("its items are no list", refusal '{"items":{}}')
    assert.equal("an item of the list is no object", refusal '{"items":[1]}')
    assert.equal("an item of the list is no object", refusal '{"items":[{"metadata":null}]}')
  end)

  it("refuses a field that stands twice, in the list and in an item", function()
    assert.matches("another field", refusal '{"kind":"A","kind":"B"}')
    assert.matches("another field", refusal('{"items":[' .. A .. '],"items":[' .. B .. "]}"))
    assert.matches('"a" stands twice', refusal '{"items":[{"metadata":{},"a":1,"a":2}]}')
  end)

  it("gives the items of a list that is a table", function()
    local list = { kind = "PodList", metadata = { resourceVersion = "7" }, items = { ctz.json.decode(A) } }
    local listing = listings.of(list)
    assert.equal("7", listing.head.metadata.resourceVersion)
    assert.equal("a", names_of(listing))
    assert.equal("", names_of(listings.of { items = ctz.json.null }))
  end)
end)
