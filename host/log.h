// log.h: what a run says about itself: one line for each thing, on stderr.
// SPDX-License-Identifier: MIT
//
// For people "12:34:56.789 info  message  field=value"; with --progress json one JSON object a
// line.
// --quiet leaves warnings and errors, --debug adds debug lines. Control characters are made
// visible.
#ifndef CTZ_LOG_H
#define CTZ_LOG_H

#include <lua.h>

#include "host/api.h"

struct ctz_host;

enum ctz_log_level { CTZ_LOG_DEBUG, CTZ_LOG_INFO, CTZ_LOG_WARN, CTZ_LOG_ERROR };

/// Is this level shown? To be asked before something costly is put together.
CTZ_API bool ctz_log_shows(const struct ctz_host *host, enum ctz_log_level level);
CTZ_API void ctz_log(struct ctz_host *host, enum ctz_log_level level, const char *format, ...)
    CTZ_PRINTF(3, 4);

/// The in-program door ctz.core.log.
int ctz_open_log(lua_State *L);

#endif
