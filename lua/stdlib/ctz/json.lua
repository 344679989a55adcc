return require("ctz.core.data").json
