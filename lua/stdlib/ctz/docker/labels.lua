-- docker/labels.lua: the labels that every object of a run carries, so that leftovers can be found.
-- SPDX-License-Identifier: MIT
local labels = {}

function labels.of_run()
  return {}
end

return labels
