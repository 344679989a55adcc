// egress.h: the one way out for text: stdout and stderr.
// SPDX-License-Identifier: MIT
//
// Everything that is printed passes here: secrets are masked, and lines of text and the moving
// progress lines of a terminal do not run into each other.
#ifndef CTZ_EGRESS_H
#define CTZ_EGRESS_H

#include "host/api.h"
#include "host/error.h"

struct ctz_host;

enum ctz_stream { CTZ_STDOUT = 1, CTZ_STDERR = 2 };

/// Writes text to stdout (buffered until a line ends on a terminal, or 64 KiB) or stderr (at once).
/// Returns -1 when that stream failed, now or before; ctz_egress_error tells why.
CTZ_API int ctz_egress_write(struct ctz_host *host, enum ctz_stream stream, const char *bytes,
                             size_t size);
CTZ_API int ctz_egress_flush(struct ctz_host *host);
/// As setvbuf of stdout: 0 prints at once, 1 when 64 KiB are pending or the program rests, 2 also
/// when a line ends.
CTZ_API void ctz_egress_buffer(struct ctz_host *host, int mode);
/// The errno that a stream failed with, 0 while it is well.
CTZ_API int ctz_egress_error(const struct ctz_host *host, enum ctz_stream stream);
/// Replaces the lines at the bottom of the terminal that show progress; "" removes them. They are
/// clean text, each ends with a newline. Ignored when stderr is not a terminal; not shown while a
/// line of other text is open.
CTZ_API void ctz_egress_status(struct ctz_host *host, const char *lines, size_t size);
/// Removes the progress lines until the next text or change of them: what stands below them will
/// stay where it is.
CTZ_API void ctz_egress_take_status(struct ctz_host *host);
/// Ends the line that other text left open on the terminal, if it did.
CTZ_API void ctz_egress_end_line(struct ctz_host *host);
/// Is it a terminal?
CTZ_API bool ctz_egress_is_terminal(const struct ctz_host *host, enum ctz_stream stream);
/// May text for this stream be coloured? By --color, NO_COLOR (no-color.org) and TERM.
CTZ_API bool ctz_egress_color(const struct ctz_host *host, enum ctz_stream stream);
/// Of the terminal on stderr, now; 80 and 24 when there is none, or it does not say.
CTZ_API void ctz_egress_size(unsigned *columns, unsigned *rows);

int ctz_egress_open(struct ctz_host *host);
void ctz_egress_close(struct ctz_host *host);

#endif
