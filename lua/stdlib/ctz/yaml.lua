return require("ctz.core.data").yaml
