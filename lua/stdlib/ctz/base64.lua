return require("ctz.core.data").base64
