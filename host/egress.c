// egress.c: the one way out for text.
// SPDX-License-Identifier: MIT
#include "host/egress.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/buffer.h"
#include "host/host.h"
#include "host/secrets.h"
#include "host/signals.h"
#include "host/task.h"

#define OUT_BUFFER_BYTES   (64 * CTZ_KIB)
#define STATUS_MAX_BYTES   (16 * CTZ_KIB)
#define TERMINAL_MAX_BYTES (64 * CTZ_KIB) // of the lines and what moves the cursor around them
#define WRAP_OFF           "\033[?7l"
#define WRAP_ON            "\033[?7h"
#define LINE_UP_CLEAR      "\033[1A\033[2K"

enum { BUFFER_NONE, BUFFER_BLOCKS, BUFFER_LINES };

struct ctz_egress {
    struct ctz_buffer pending; // of stdout
    struct ctz_buffer status;  // the progress lines at the bottom of the terminal, masked
    struct ctz_mask masks[3];  // by stream: the beginnings of secrets that are kept back
    int failed[3];             // errno by stream
    bool terminal[3];
    int buffering;  // of stdout, as ctz_egress_buffer has it
    bool line_open; // the terminal does not stand at the start of a line
    bool status_is_drawn;
};

int ctz_egress_open(struct ctz_host *host)
{
    struct ctz_egress *egress = host->egress = ctz_calloc(1, sizeof *egress);
    if (!egress)
        return -1;
    ctz_buffer_init(&egress->pending, OUT_BUFFER_BYTES * 2);
    ctz_buffer_init(&egress->status, STATUS_MAX_BYTES);
    egress->terminal[CTZ_STDOUT] = isatty(CTZ_STDOUT);
    egress->buffering = egress->terminal[CTZ_STDOUT] ? BUFFER_LINES : BUFFER_BLOCKS;
    egress->terminal[CTZ_STDERR] = isatty(CTZ_STDERR);
    return 0;
}

static int flush(struct ctz_host *host, enum ctz_stream stream, enum ctz_mask_end end);

// Writes all, waiting when the descriptor is non-blocking. A signal that ends the run stops it.
static int write_all(struct ctz_host *host, int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (errno != EINTR || host->ending) {
            return errno;
        }
    }
    return 0;
}

// Nobody reads stdout any more: the run ends after its clean-up, without a word.
static void end_unread(struct ctz_host *host)
{
    if (host->ending || !host->root)
        return;
    host->ending = true;
    host->exit_code = 141; // as a shell reports SIGPIPE
    ctz_task_cancel(host->root, CTZ_CANCEL_EXIT);
    ctz_signals_interrupt(host);
}

static int write_masked(struct ctz_host *host, enum ctz_stream stream, const char *bytes,
                        size_t size, enum ctz_mask_end end)
{
    struct ctz_egress *egress = host->egress;
    if (egress->failed[stream])
        return -1;
    struct ctz_buffer masked;
    ctz_buffer_init(&masked, SIZE_MAX / 2);
    bool changed = ctz_mask_write(host, &egress->masks[stream], bytes, size, end, &masked);
    if (changed && masked.failed) // no memory to mask: nothing is better than the secret
        egress->failed[stream] = ENOMEM;
    else
        egress->failed[stream] =
            write_all(host, stream, changed ? masked.bytes : bytes, changed ? masked.length : size);
    ctz_buffer_clear(&masked);
    if (stream == CTZ_STDOUT && egress->failed[stream] == EPIPE)
        end_unread(host);
    return egress->failed[stream] ? -1 : 0;
}

// --- the terminal ------------------------------------------------------------------------------

bool ctz_egress_color(const struct ctz_host *host, enum ctz_stream stream)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (host->color != CTZ_COLOR_AUTO)
        return host->color == CTZ_COLOR_ALWAYS;
    return host->egress->terminal[stream] && !(no_color && *no_color) && term &&
           strcmp(term, "dumb") != 0;
}

void ctz_egress_size(unsigned *columns, unsigned *rows)
{
    struct winsize size = {0};
    ioctl(CTZ_STDERR, TIOCGWINSZ, &size);
    *columns = size.ws_col ? size.ws_col : 80;
    *rows = size.ws_row ? size.ws_row : 24;
}

// --- progress lines ----------------------------------------------------------------------------

// One row a line: they are drawn without wrapping. A terminal that wraps them anew when it becomes
// narrower leaves a rest of them; to erase more could erase what was printed.
static void put_erase(struct ctz_egress *egress, struct ctz_buffer *out)
{
    if (!egress->status_is_drawn)
        return;
    egress->status_is_drawn = false;
    ctz_buffer_byte(out, '\r');
    for (size_t i = 0; i < egress->status.length; i++)
        if (egress->status.bytes[i] == '\n')
            ctz_buffer_text(out, LINE_UP_CLEAR);
}

// Not behind an unfinished line: then they come when it ends.
static void put_status(struct ctz_egress *egress, struct ctz_buffer *out)
{
    if (egress->status.length == 0 || egress->line_open || egress->failed[CTZ_STDERR])
        return;
    ctz_buffer_text(out, WRAP_OFF);
    ctz_buffer_append(out, egress->status.bytes, egress->status.length);
    ctz_buffer_text(out, WRAP_ON);
    egress->status_is_drawn = true;
}

static void write_terminal(struct ctz_host *host, struct ctz_buffer *text)
{
    if (text->length)
        write_all(host, CTZ_STDERR, text->bytes, text->length);
    ctz_buffer_clear(text);
}

static void erase_status(struct ctz_host *host)
{
    struct ctz_buffer text;
    ctz_buffer_init(&text, TERMINAL_MAX_BYTES);
    put_erase(host->egress, &text);
    write_terminal(host, &text);
}

static void draw_status(struct ctz_host *host)
{
    struct ctz_buffer text;
    ctz_buffer_init(&text, TERMINAL_MAX_BYTES);
    put_status(host->egress, &text);
    write_terminal(host, &text);
}

void ctz_egress_status(struct ctz_host *host, const char *lines, size_t size)
{
    struct ctz_egress *egress = host->egress;
    struct ctz_buffer text; // the old ones away and the new ones there in one write: no flicker
    if (!egress->terminal[CTZ_STDERR])
        return;
    flush(host, CTZ_STDOUT, CTZ_MASK_MORE); // what was printed first is seen first
    ctz_buffer_init(&text, TERMINAL_MAX_BYTES);
    if (host->around_output)
        host->around_output(host, true);
    put_erase(egress, &text);
    ctz_buffer_clear(&egress->status);
    egress->status.failed = false;
    if (!ctz_secrets_mask(host, lines, size, &egress->status))
        ctz_buffer_append(&egress->status, lines, size);
    put_status(egress, &text);
    write_terminal(host, &text);
    if (host->around_output)
        host->around_output(host, false);
}

void ctz_egress_take_status(struct ctz_host *host)
{
    if (!host->egress->status_is_drawn)
        return;
    if (host->around_output)
        host->around_output(host, true);
    erase_status(host);
    if (host->around_output)
        host->around_output(host, false);
}

void ctz_egress_end_line(struct ctz_host *host)
{
    struct ctz_egress *egress = host->egress;
    if (egress->line_open)
        write_all(host, egress->terminal[CTZ_STDOUT] ? CTZ_STDOUT : CTZ_STDERR, "\n", 1);
    egress->line_open = false;
}

// --- streams -----------------------------------------------------------------------------------

// Between two prints of whole lines the progress lines are taken away and put back.
static int write_around_status(struct ctz_host *host, enum ctz_stream stream, const char *bytes,
                               size_t size, enum ctz_mask_end end)
{
    struct ctz_egress *egress = host->egress;
    if (!egress->terminal[stream])
        return write_masked(host, stream, bytes, size, end);
    if (host->around_output)
        host->around_output(host, true);
    erase_status(host);
    int result = write_masked(host, stream, bytes, size, end);
    if (size)
        egress->line_open = bytes[size - 1] != '\n';
    draw_status(host);
    if (host->around_output)
        host->around_output(host, false);
    return result;
}

static int flush(struct ctz_host *host, enum ctz_stream stream, enum ctz_mask_end end)
{
    struct ctz_egress *egress = host->egress;
    size_t pending = stream == CTZ_STDOUT ? egress->pending.length : 0;
    bool decides = end != CTZ_MASK_MORE && egress->masks[stream].held.length > 0;
    if (pending == 0 && !decides)
        return egress->failed[stream] ? -1 : 0;
    int result = write_around_status(host, stream, egress->pending.bytes, pending, end);
    if (stream == CTZ_STDOUT)
        egress->pending.length = 0; // the memory is kept for the next lines
    return result;
}

int ctz_egress_flush(struct ctz_host *host)
{
    flush(host, CTZ_STDERR, CTZ_MASK_REST);
    return flush(host, CTZ_STDOUT, CTZ_MASK_REST);
}

int ctz_egress_write(struct ctz_host *host, enum ctz_stream stream, const char *bytes, size_t size)
{
    struct ctz_egress *egress = host->egress;
    if (egress->failed[stream])
        return -1;
    if (stream == CTZ_STDERR) {
        flush(host, CTZ_STDOUT, CTZ_MASK_MORE); // what was printed first is seen first
        return write_around_status(host, stream, bytes, size, CTZ_MASK_MORE);
    }
    if (egress->pending.length + size > OUT_BUFFER_BYTES && flush(host, stream, CTZ_MASK_MORE) < 0)
        return -1;
    if (size > OUT_BUFFER_BYTES)
        return write_around_status(host, stream, bytes, size, CTZ_MASK_MORE);
    if (ctz_buffer_append(&egress->pending, bytes, size) < 0) {
        egress->failed[stream] = ENOMEM;
        return -1;
    }
    bool shows = egress->buffering == BUFFER_NONE ||
                 (egress->buffering == BUFFER_LINES && size > 0 && memchr(bytes, '\n', size));
    return shows ? flush(host, stream, CTZ_MASK_MORE) : 0;
}

void ctz_egress_buffer(struct ctz_host *host, int mode)
{
    host->egress->buffering = mode;
}

int ctz_egress_error(const struct ctz_host *host, enum ctz_stream stream)
{
    return host->egress->failed[stream];
}

bool ctz_egress_is_terminal(const struct ctz_host *host, enum ctz_stream stream)
{
    return host->egress->terminal[stream];
}

void ctz_egress_close(struct ctz_host *host)
{
    if (!host->egress)
        return;
    flush(host, CTZ_STDOUT, CTZ_MASK_END);
    flush(host, CTZ_STDERR, CTZ_MASK_END);
    ctz_mask_clear(&host->egress->masks[CTZ_STDOUT]);
    ctz_mask_clear(&host->egress->masks[CTZ_STDERR]);
    ctz_buffer_clear(&host->egress->pending);
    ctz_buffer_clear(&host->egress->status);
    ctz_free(host->egress);
    host->egress = NULL;
}
