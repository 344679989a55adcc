-- One GET; args: the URL of a page with the text "hello".
local http = require "ctz.http"
local answer = http.get((...), { timeout = 10 })
assert(answer.status == 200 and answer.body == "hello", answer.body)
