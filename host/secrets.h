// secrets.h: values that never print.
// SPDX-License-Identifier: MIT
#ifndef CTZ_SECRETS_H
#define CTZ_SECRETS_H

#include "host/api.h"
#include "host/buffer.h"

struct ctz_host;

/// From now on this value, and its usual encodings (base64, URL, JSON, hex, each line of several),
/// leave the program only as ***. Values under 4 bytes are not masked: they would blank the log.
CTZ_API int ctz_secret_add(struct ctz_host *host, const char *value, size_t size);
/// Appends bytes to out with every secret masked. Returns false when none was in it (out is then
/// untouched and the caller uses bytes as they are).
bool ctz_secrets_mask(struct ctz_host *host, const char *bytes, size_t size,
                      struct ctz_buffer *out);
void ctz_secrets_free(struct ctz_host *host);

#endif
