// screen.h: text for a terminal: made harmless, measured, cut; and text inside JSON.
// SPDX-License-Identifier: MIT
//
// Every function that takes an out appends to it.
#ifndef CTZ_SCREEN_H
#define CTZ_SCREEN_H

#include "host/api.h"
#include "host/buffer.h"

/// Bytes of the first character of UTF-8; 0 when it is none (or cut, or size is 0).
CTZ_API size_t ctz_screen_decode(const char *text, size_t size, uint32_t *character);
/// What could steer a terminal (controls, escapes, changes of direction, bytes that are no UTF-8)
/// becomes visible: \x1b, \n. With keep_lines newlines and tabs stay.
CTZ_API void ctz_screen_clean(const char *text, size_t size, bool keep_lines,
                              struct ctz_buffer *out);
/// Columns of a clean text on a terminal.
CTZ_API size_t ctz_screen_width(const char *text, size_t size);
/// Bytes of the longest beginning that takes at most so many columns; *taken (may be NULL): how
/// many it takes.
CTZ_API size_t ctz_screen_fit(const char *text, size_t size, size_t columns, size_t *taken);
/// The text as a JSON string; bytes that are no UTF-8 become U+FFFD.
CTZ_API void ctz_screen_json(const char *text, size_t size, struct ctz_buffer *out);
/// "27.3 MB": powers of 1000, as Docker shows sizes.
CTZ_API void ctz_screen_bytes(double bytes, struct ctz_buffer *out);
/// "320 ms", "3.2 s", "42 s", "3 min 5 s", "2 h 5 min", "3 d 4 h".
CTZ_API void ctz_screen_duration(double seconds, struct ctz_buffer *out);
/// The time of day: "12:34:56.789", or with the date in UTC "2026-07-05T10:34:56.789Z".
CTZ_API void ctz_screen_time(bool with_date, struct ctz_buffer *out);

#endif
