// secrets.h: values that never print.
// SPDX-License-Identifier: MIT
//
// Once a value is known here, it and its usual encodings leave the program only as ***: raw, each
// line of several, base64 (both alphabets, at each of the three places in a group, also when it is
// wrapped in lines), hex, URL, JSON and XML escapes. White space around a value or a line does not
// count. Values under 4 bytes are not masked: they would blank the log.
#ifndef CTZ_SECRETS_H
#define CTZ_SECRETS_H

#include <lua.h>

#include "host/api.h"
#include "host/buffer.h"

struct ctz_host;

#define CTZ_SECRET_CLASS "ctz.secret"

/// One value, kept until the run ends and wiped then: the text may turn up at any time.
struct ctz_secret {
    struct ctz_secret *next;
    uint64_t hash;
    size_t size;
    char bytes[]; // a NUL behind the last
};

/// Masks the value from now on. The same value gives the same secret. NULL when memory ran out.
CTZ_API const struct ctz_secret *ctz_secret_keep(struct ctz_host *host, const char *value,
                                                 size_t size);
/// As ctz_secret_keep for who needs no handle; -1 when memory ran out.
CTZ_API int ctz_secret_add(struct ctz_host *host, const char *value, size_t size);
/// Takes the same time whether and wherever they differ.
CTZ_API bool ctz_secret_equal(const struct ctz_secret *secret, const char *bytes, size_t size);
/// The text of the ctz.secret at idx, borrowed for the run; NULL when it is something else.
CTZ_API const char *ctz_secret_at(lua_State *L, int idx, size_t *size);

/// Appends bytes to out with every secret masked. Returns false when none was in it (out is then
/// untouched and the caller uses bytes as they are). When memory ran out, out->failed is set.
CTZ_API bool ctz_secrets_mask(struct ctz_host *host, const char *bytes, size_t size,
                              struct ctz_buffer *out);
void ctz_secrets_free(struct ctz_host *host);

// --- streams -----------------------------------------------------------------------------------

/// What a stream of text keeps back, because it may be the beginning of a secret. All zero is new.
struct ctz_mask {
    struct ctz_buffer held;
    size_t done; // of the held bytes: they have left, as they are or as ***
    bool masked; // what left last was ***
};

/// What is known about the bytes behind these.
enum ctz_mask_end {
    CTZ_MASK_MORE, // they follow: a possible beginning of a secret is kept back
    CTZ_MASK_REST, // the program waits, somebody may look: up to 3 bytes of it are shown
    CTZ_MASK_END,  // there are none
};

/// As ctz_secrets_mask for the next piece of a stream: a secret split over two pieces is masked as
/// well. What is shown of it at a rest stays known: what follows it is still masked.
bool ctz_mask_write(struct ctz_host *host, struct ctz_mask *mask, const char *bytes, size_t size,
                    enum ctz_mask_end end, struct ctz_buffer *out);
void ctz_mask_clear(struct ctz_mask *mask);

/// The in-program door ctz.core.secret.
int ctz_open_secret(lua_State *L);

#endif
