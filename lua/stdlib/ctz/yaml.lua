-- yaml.lua: YAML; all of it is in bindings/data/yaml*.c.
-- SPDX-License-Identifier: MIT
return require("ctz.core.data").yaml
