-- kubernetes/again.lua: which requests are sent again when the way to the API server breaks under them.
-- SPDX-License-Identifier: MIT
--
-- A request that breaks off was done, was not done, or is still being done: the other side cannot be asked.
--   * Nobody listens, or TLS does not come about: nothing was sent. Every request is sent again.
--   * Reads (GET, and reviews, which change nothing) are sent again.
--   * Server-side apply is sent again: applied twice is applied. Only whether it was this apply that made the
--     object is not known then.
--   * replace of an object with its resourceVersion is sent again when the server still has that version: it was
--     not done, and if it comes late only one of the two is taken.
--   * create, delete and other patches are not sent again. A second create would be refused because of the
--     first, or because of somebody else's object; a second delete would take what a controller made anew under
--     that name; a JSON patch may add twice. They raise unreachable, whose hint says that the object tells.
-- All of it ends with the request's patience (client.lua) and with the task's deadline, and only a server that
-- answered before is waited for: others are told at once.
local error, pcall, type = error, pcall, type

local APPLY <const> = "application/apply-patch+yaml"

local again = {}

-- Did the way to the server break? (A plugin for credentials has a server of its own.)
function again.is_cut(err)
  return type(err) == "table" and not err.status and not (err.op or ""):find "^kubernetes%."
    and (err.kind == "unreachable" or err.kind == "protocol" and err.retryable or err.code == "BODY_CUT")
end

-- May a request of call(method, ..., opts) be sent again after this error? HTTP has it retryable when nothing of it
-- was sent.
function again.may_repeat(method, opts, err)
  return again.is_cut(err) and (method == "GET" or opts.reads or opts.content_type == APPLY or err.retryable)
end

-- What is said of one that is not.
function again.hint(method, opts, err)
  if again.is_cut(err) and not again.may_repeat(method, opts, err) then
    return "whether the server did it is not known: read the object; client:apply may be repeated at any time"
  end
end

-- again.replace(version, write, read) -> what write() returned. One that breaks off is written once more while the
-- server has the version that it stands on. With another version there it is not known who wrote: two who count
-- write the same. Then it is told as it was.
function again.replace(version, write, read)
  local ok, result = pcall(write)
  if ok then
    return result
  elseif type(result) ~= "table" or not result.broke_off or not version
    or read().metadata.resourceVersion ~= version then
    error(result, 0)
  end
  local is_done, second = pcall(write)
  if not is_done and type(second) == "table" and second.status == 409 then -- the first came later than the look
    error(result, 0)
  end
  return is_done and second or error(second, 0)
end

return again
