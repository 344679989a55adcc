// progress.c: how far several things have come.
// SPDX-License-Identifier: MIT
#include "host/progress.h"

#include <stdlib.h>
#include <string.h>

#include "host/alloc.h"
#include "host/egress.h"
#include "host/screen.h"

#define TTY_MS        100
#define PLAIN_MS      1000
#define TTY_NS        UINT64_C(100000000)
#define JSON_NS       UINT64_C(1000000000)
#define PLAIN_NS      UINT64_C(10000000000)
#define RATE_WINDOW_S 3.0 // the rate follows what happened in about so many seconds
#define RATE_SAMPLE_S 0.5
#define MOST_LINES    12 // moving lines; the others are counted in one more
#define BAR_COLUMNS   24
#define LEAST_BAR     6
#define TITLE_COLUMNS 40
#define LEAST_COLUMNS 16 // a screen narrower than this is taken for one of this width

struct ctz_progress_item {
    struct ctz_host *host;
    struct ctz_progress_item *next, **link; // in the order of creation
    char *title;                            // clean
    size_t title_size;
    enum ctz_progress_unit unit;
    uint64_t id;
    uint64_t done, total;
    uint64_t start_ns, told_ns; // the last plain or JSON line
    uint64_t sample_ns, sample_done;
    double rate; // per second; < 0: not known yet
    bool changed, ended;
};

// What a run shows; hangs on the host from the first progress on.
struct ctz_progress_list {
    uv_timer_t tick; // does not keep the loop alive: waiting on each other is still noticed
    struct ctz_progress_item *first, **end;
    uint64_t last_id;
    uint64_t drawn_ns;
    unsigned count;
};

enum ctz_progress ctz_progress_mode(const struct ctz_host *host)
{
    const char *term = getenv("TERM");
    bool is_terminal = ctz_egress_is_terminal(host, CTZ_STDERR);
    if (host->progress == CTZ_PROGRESS_TTY)
        return is_terminal ? CTZ_PROGRESS_TTY : CTZ_PROGRESS_PLAIN;
    if (host->progress != CTZ_PROGRESS_AUTO)
        return host->progress;
    if (host->quiet)
        return CTZ_PROGRESS_NONE;
    bool moves = is_terminal && term && strcmp(term, "dumb") != 0;
    return moves ? CTZ_PROGRESS_TTY : CTZ_PROGRESS_PLAIN;
}

// --- what a line says --------------------------------------------------------------------------

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

static void sample(struct ctz_progress_item *progress, uint64_t now_ns)
{
    double seconds = seconds_between(progress->sample_ns, now_ns);
    if (seconds < RATE_SAMPLE_S)
        return;
    double more = progress->done > progress->sample_done
                      ? (double)(progress->done - progress->sample_done)
                      : 0;
    double weight = seconds / (seconds + RATE_WINDOW_S);
    progress->rate = progress->rate < 0
                         ? more / seconds
                         : progress->rate + weight * (more / seconds - progress->rate);
    progress->sample_ns = now_ns;
    progress->sample_done = progress->done;
}

static void put_amount(const struct ctz_progress_item *progress, double amount,
                       struct ctz_buffer *out)
{
    if (progress->unit == CTZ_UNIT_BYTES)
        ctz_screen_bytes(amount, out);
    else if (amount < 10 && amount != (double)(int)amount)
        ctz_buffer_format(out, "%.1f", amount);
    else
        ctz_buffer_format(out, "%.0f", amount);
}

static bool has_total(const struct ctz_progress_item *progress)
{
    return progress->total != CTZ_TOTAL_UNKNOWN;
}

static double share(const struct ctz_progress_item *progress)
{
    if (progress->total == 0 || progress->done >= progress->total)
        return 1;
    return (double)progress->done / (double)progress->total;
}

// What a line tells, from the least to the most.
enum detail { DETAIL_PERCENT, DETAIL_AMOUNT, DETAIL_RATE, DETAIL_LEFT };

// " 45% 12.3 MB of 27 MB, 4.1 MB/s, 3 s left"
static void put_facts(const struct ctz_progress_item *progress, enum detail detail,
                      struct ctz_buffer *out)
{
    bool counts = has_total(progress);
    if (counts)
        ctz_buffer_format(out, "%3d%%", (int)(share(progress) * 100));
    if (detail >= DETAIL_AMOUNT || !counts) {
        ctz_buffer_text(out, counts ? " " : "");
        put_amount(progress, (double)progress->done, out);
    }
    if (detail >= DETAIL_AMOUNT && counts) {
        ctz_buffer_text(out, " of ");
        put_amount(progress, (double)progress->total, out);
    }
    if (detail < DETAIL_RATE || progress->rate < 0)
        return;
    ctz_buffer_text(out, ", ");
    put_amount(progress, progress->rate, out);
    ctz_buffer_text(out, "/s");
    if (detail < DETAIL_LEFT || !counts || progress->rate <= 0 || progress->done >= progress->total)
        return;
    ctz_buffer_text(out, ", ");
    ctz_screen_duration((double)(progress->total - progress->done) / progress->rate, out);
    ctz_buffer_text(out, " left");
}

// --- plain lines and JSON ----------------------------------------------------------------------

static void say(struct ctz_host *host, struct ctz_buffer *line)
{
    ctz_buffer_byte(line, '\n');
    if (!line->failed)
        ctz_egress_write(host, CTZ_STDERR, line->bytes, line->length);
    ctz_buffer_clear(line);
}

static void say_json(const struct ctz_progress_item *progress, const char *state,
                     const char *message, size_t size, uint64_t now_ns)
{
    struct ctz_buffer line;
    ctz_buffer_init(&line, SIZE_MAX / 2);
    ctz_buffer_text(&line, "{\"time\":\"");
    ctz_screen_time(true, &line);
    ctz_buffer_format(&line, "\",\"event\":\"progress\",\"id\":%llu,\"title\":",
                      (unsigned long long)progress->id);
    ctz_screen_json(progress->title, progress->title_size, &line);
    ctz_buffer_format(&line, ",\"state\":\"%s\",\"unit\":\"%s\",\"done\":%llu", state,
                      progress->unit == CTZ_UNIT_BYTES ? "bytes" : "items",
                      (unsigned long long)progress->done);
    if (has_total(progress))
        ctz_buffer_format(&line, ",\"total\":%llu", (unsigned long long)progress->total);
    ctz_buffer_format(&line, ",\"seconds\":%.3f", seconds_between(progress->start_ns, now_ns));
    if (message) {
        ctz_buffer_text(&line, ",\"message\":");
        ctz_screen_json(message, size, &line);
    }
    ctz_buffer_byte(&line, '}');
    say(progress->host, &line);
}

static void say_plain(const struct ctz_progress_item *progress)
{
    struct ctz_buffer line;
    ctz_buffer_init(&line, SIZE_MAX / 2);
    ctz_buffer_append(&line, progress->title, progress->title_size);
    ctz_buffer_text(&line, ": ");
    put_facts(progress, DETAIL_LEFT, &line);
    say(progress->host, &line);
}

// "layer app: 27 MB in 6.5 s" or "layer app: failed after 6.5 s: message"
static void say_end(const struct ctz_progress_item *progress, bool well, const char *message,
                    size_t size, uint64_t now_ns)
{
    struct ctz_buffer line;
    ctz_buffer_init(&line, SIZE_MAX / 2);
    ctz_buffer_append(&line, progress->title, progress->title_size);
    ctz_buffer_text(&line, ": ");
    if (well && (progress->done > 0 || progress->unit == CTZ_UNIT_BYTES))
        put_amount(progress, (double)progress->done, &line);
    else
        ctz_buffer_text(&line, well ? "done" : "failed");
    ctz_buffer_text(&line, well ? " in " : " after ");
    ctz_screen_duration(seconds_between(progress->start_ns, now_ns), &line);
    if (message) {
        ctz_buffer_text(&line, well ? ", " : ": ");
        ctz_screen_clean(message, size, false, &line);
    }
    say(progress->host, &line);
}

// --- moving lines ------------------------------------------------------------------------------

// The text padded with spaces, or cut, to so many columns.
static void put_column(const char *text, size_t size, size_t columns, struct ctz_buffer *out)
{
    size_t taken, shown = ctz_screen_fit(text, size, columns, &taken);
    if (shown < size && columns > 3) {
        shown = ctz_screen_fit(text, size, columns - 2, &taken);
        ctz_buffer_append(out, text, shown);
        ctz_buffer_text(out, "..");
        taken += 2;
    } else {
        ctz_buffer_append(out, text, shown);
    }
    for (; taken < columns; taken++)
        ctz_buffer_byte(out, ' ');
}

static void put_bar(const struct ctz_progress_item *progress, size_t columns,
                    struct ctz_buffer *out)
{
    size_t inside = columns - 3; // brackets, and a space behind them
    size_t filled = (size_t)(share(progress) * (double)inside);
    ctz_buffer_byte(out, '[');
    for (size_t i = 0; i < inside; i++)
        ctz_buffer_byte(out, i < filled ? '#' : '-');
    ctz_buffer_text(out, "] ");
}

static void put_line(const struct ctz_progress_item *progress, size_t title, size_t columns,
                     struct ctz_buffer *out)
{
    struct ctz_buffer facts;
    ctz_buffer_init(&facts, SIZE_MAX / 2);
    size_t room = columns - title - 1;
    for (enum detail detail = DETAIL_LEFT;; detail--) { // as much as there is room for
        facts.length = 0;
        put_facts(progress, detail, &facts);
        if (facts.length <= room || detail == DETAIL_PERCENT)
            break;
    }
    put_column(progress->title, progress->title_size, title, out);
    ctz_buffer_byte(out, ' ');
    if (has_total(progress) && room >= facts.length + LEAST_BAR + 3) {
        size_t bar = room - facts.length;
        put_bar(progress, bar < BAR_COLUMNS ? bar : BAR_COLUMNS, out);
    }
    if (!facts.failed && facts.bytes)
        ctz_buffer_append(out, facts.bytes, ctz_screen_fit(facts.bytes, facts.length, room, NULL));
    ctz_buffer_byte(out, '\n');
    ctz_buffer_clear(&facts);
}

static size_t title_columns(const struct ctz_progress_list *list, size_t columns)
{
    size_t widest = 0, most = columns / 3 < TITLE_COLUMNS ? columns / 3 : TITLE_COLUMNS;
    for (const struct ctz_progress_item *progress = list->first; progress;
         progress = progress->next) {
        size_t width = ctz_screen_width(progress->title, progress->title_size);
        widest = width > widest ? width : widest;
    }
    return widest < most ? widest : most;
}

static void draw(struct ctz_host *host, uint64_t now_ns)
{
    struct ctz_progress_list *list = host->progresses;
    unsigned columns, rows, shown = 0;
    ctz_egress_size(&columns, &rows);
    columns = columns > LEAST_COLUMNS ? columns - 1 : LEAST_COLUMNS - 1; // no wrap at the edge
    unsigned most = rows / 2 < MOST_LINES ? rows / 2 : MOST_LINES;
    size_t title = title_columns(list, columns);
    struct ctz_buffer lines;
    ctz_buffer_init(&lines, SIZE_MAX / 2);
    for (struct ctz_progress_item *progress = list->first; progress; progress = progress->next) {
        sample(progress, now_ns);
        if (shown < most) {
            put_line(progress, title, columns, &lines);
            shown++;
        }
    }
    if (shown < list->count)
        ctz_buffer_format(&lines, "and %u more\n", list->count - shown);
    if (!lines.failed)
        ctz_egress_status(host, lines.bytes ? lines.bytes : "", lines.length);
    ctz_buffer_clear(&lines);
    list->drawn_ns = now_ns;
}

// --- when --------------------------------------------------------------------------------------

static void tell(struct ctz_progress_item *progress, enum ctz_progress mode, uint64_t now_ns)
{
    uint64_t pause_ns = mode == CTZ_PROGRESS_JSON ? JSON_NS : PLAIN_NS;
    if (!progress->changed || now_ns < progress->told_ns + pause_ns)
        return;
    progress->told_ns = now_ns;
    progress->changed = false;
    sample(progress, now_ns);
    if (mode == CTZ_PROGRESS_JSON)
        say_json(progress, "running", NULL, 0, now_ns);
    else
        say_plain(progress);
}

static void on_tick(uv_timer_t *timer)
{
    struct ctz_host *host = timer->data;
    enum ctz_progress mode = ctz_progress_mode(host);
    uint64_t now_ns = ctz_now();
    if (mode == CTZ_PROGRESS_TTY) {
        draw(host, now_ns); // also without a change: rates and the time left move on
        return;
    }
    for (struct ctz_progress_item *progress = host->progresses->first; progress;
         progress = progress->next)
        tell(progress, mode, now_ns);
}

// A call told something new: shown now when it is time, else by the next tick or call.
static void changed(struct ctz_progress_item *progress)
{
    struct ctz_progress_list *list = progress->host->progresses;
    uint64_t now_ns = ctz_now();
    progress->changed = true;
    if (now_ns < list->drawn_ns + TTY_NS)
        return;
    list->drawn_ns = now_ns;
    enum ctz_progress mode = ctz_progress_mode(progress->host);
    if (mode == CTZ_PROGRESS_TTY)
        draw(progress->host, now_ns);
    else if (mode != CTZ_PROGRESS_NONE)
        tell(progress, mode, now_ns);
}

// --- life --------------------------------------------------------------------------------------

static struct ctz_progress_list *open_list(struct ctz_host *host)
{
    if (host->progresses)
        return host->progresses;
    struct ctz_progress_list *list = ctz_calloc(1, sizeof *list);
    if (!list)
        return NULL;
    list->end = &list->first;
    uv_timer_init(&host->loop, &list->tick);
    uv_unref((uv_handle_t *)&list->tick);
    list->tick.data = host;
    return host->progresses = list;
}

void ctz_progress_close(struct ctz_host *host)
{
    ctz_free(host->progresses);
    host->progresses = NULL;
}

static void link_progress(struct ctz_progress_list *list, struct ctz_progress_item *progress)
{
    progress->id = ++list->last_id;
    progress->link = list->end;
    *list->end = progress;
    list->end = &progress->next;
    enum ctz_progress mode = ctz_progress_mode(progress->host);
    uint64_t pause_ms = mode == CTZ_PROGRESS_TTY ? TTY_MS : PLAIN_MS;
    if (list->count++ == 0 && mode != CTZ_PROGRESS_NONE)
        uv_timer_start(&list->tick, on_tick, pause_ms, pause_ms);
}

static void unlink_progress(struct ctz_progress_item *progress)
{
    struct ctz_progress_list *list = progress->host->progresses;
    *progress->link = progress->next;
    if (progress->next)
        progress->next->link = progress->link;
    else
        list->end = progress->link;
    uint64_t now_ns = ctz_now();
    bool is_last = --list->count == 0;
    if (is_last)
        uv_timer_stop(&list->tick);
    if (ctz_progress_mode(progress->host) == CTZ_PROGRESS_TTY &&
        (is_last || now_ns >= list->drawn_ns + TTY_NS))
        draw(progress->host, now_ns); // without it
}

struct ctz_progress_item *ctz_progress_new(struct ctz_host *host, const char *title, size_t size,
                                           enum ctz_progress_unit unit, uint64_t total)
{
    struct ctz_progress_list *list = open_list(host);
    struct ctz_progress_item *progress = list ? ctz_calloc(1, sizeof *progress) : NULL;
    if (!progress)
        return NULL;
    struct ctz_buffer clean;
    ctz_buffer_init(&clean, SIZE_MAX / 2);
    ctz_screen_clean(title, size, false, &clean);
    progress->title_size = clean.length;
    progress->title = ctz_buffer_take(&clean);
    if (!progress->title) {
        ctz_free(progress);
        return NULL;
    }
    progress->host = host;
    progress->unit = unit;
    progress->total = total;
    progress->rate = -1;
    progress->start_ns = progress->told_ns = progress->sample_ns = ctz_now();
    link_progress(list, progress);
    if (ctz_progress_mode(host) == CTZ_PROGRESS_JSON)
        say_json(progress, "running", NULL, 0, progress->start_ns);
    else
        changed(progress);
    return progress;
}

void ctz_progress_set(struct ctz_progress_item *progress, uint64_t done)
{
    progress->done = done;
    if (!progress->ended)
        changed(progress);
}

void ctz_progress_add(struct ctz_progress_item *progress, uint64_t more)
{
    bool overflows = more > CTZ_TOTAL_UNKNOWN - 1 - progress->done;
    ctz_progress_set(progress, overflows ? CTZ_TOTAL_UNKNOWN - 1 : progress->done + more);
}

void ctz_progress_total(struct ctz_progress_item *progress, uint64_t total)
{
    progress->total = total;
    if (!progress->ended)
        changed(progress);
}

void ctz_progress_end(struct ctz_progress_item *progress, bool well, const char *message,
                      size_t size)
{
    if (progress->ended)
        return;
    uint64_t now_ns = ctz_now();
    enum ctz_progress mode = ctz_progress_mode(progress->host);
    progress->ended = true;
    unlink_progress(progress);
    if (mode == CTZ_PROGRESS_JSON)
        say_json(progress, well ? "done" : "failed", message, size, now_ns);
    else if (mode != CTZ_PROGRESS_NONE)
        say_end(progress, well, message, size, now_ns);
}

void ctz_progress_free(struct ctz_progress_item *progress)
{
    if (!progress)
        return;
    if (!progress->ended)
        unlink_progress(progress);
    ctz_free(progress->title);
    ctz_free(progress);
}
