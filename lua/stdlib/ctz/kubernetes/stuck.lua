-- kubernetes/stuck.lua: what keeps a workload from ever being ready: a reason that time does not mend, and that stays.
-- SPDX-License-Identifier: MIT
local time = require "ctz.time"

local ipairs = ipairs

local PATIENCE_S <const> = 5 -- a first pull, a first crash may be followed by a better one
-- Of a Job: other failures of its pods are counted by backoffLimit.
local KEEPS_A_JOB <const> = {
  CreateContainerConfigError = true, CreateContainerError = true, ErrImageNeverPull = true, ErrImagePull = true,
  ImageInspectError = true, ImagePullBackOff = true, InvalidImageName = true, Unschedulable = true,
}

local stuck = { PATIENCE_S = PATIENCE_S }

-- stuck.reason(object, reasons) -> the first of why.of that time does not mend
function stuck.reason(object, reasons)
  for _, one in ipairs(reasons) do
    if one.hopeless and (object.kind ~= "Job" or KEEPS_A_JOB[one.reason]) then
      return one
    end
  end
end

-- stuck.watch() -> function(object, reasons) for each look at the workload: that reason, once there has been one at
-- all looks of the last seconds
function stuck.watch()
  local since
  return function(object, reasons)
    local reason = stuck.reason(object, reasons)
    since = reason and (since or time.monotonic()) or nil
    return since and time.monotonic() - since >= PATIENCE_S and reason or nil
  end
end

return stuck
