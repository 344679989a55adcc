-- copy_path.lua: the paths of a copy into a container or out of it, as cp reads them.
-- SPDX-License-Identifier: MIT
local error, type = error, type
local new_error = require("ctz.core.task").error

local copy_path = {}

-- copy_path.check_inside(op, path): raises usage unless it is a path in a container
function copy_path.check_inside(op, path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" or path:find("\0", 1, true) then
    error(new_error {
      kind = "usage", op = op,
      message = ("%s is no path in a container: it begins with a slash"):format(
        type(path) == "string" and path or type(path)),
    }, 0)
  end
end

-- copy_path.trim("/a/b/") -> "/a/b", true; "/a/b/." -> "/a/b", true, true: the second says that it is a folder, the
-- third that its content is meant.
function copy_path.trim(path)
  local before = path:match "^(.*)/%.$"
  if before then
    return before ~= "" and before or "/", true, true
  end
  local bare = path:gsub("/+$", "")
  return bare ~= "" and bare or "/", bare ~= path, false
end

function copy_path.last_name(path)
  return path:match "([^/]+)$" or "/"
end

function copy_path.folder_of(path)
  local folder = path:match "^(.*)/[^/]*$"
  return folder ~= "" and folder or "/"
end

return copy_path
