// session.c: a session at the terminal: keys become lines for a task, Ctrl-C a cancel: the door
// ctz.core.repl. SPDX-License-Identifier: MIT
//
// What a line means is decided in lua/stdlib/ctz/cmd/repl*.lua. Keys are taken while a task reads;
// what tasks print meanwhile appears above the prompt. Between two reads the terminal is as it was
// if the task asked for that (rest), so that what it runs finds it so.
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "bindings/repl/editor.h"
#include "bindings/repl/history.h"
#include "bindings/repl/keys.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/egress.h"
#include "host/host.h"
#include "host/luax.h"
#include "host/op.h"
#include "host/secrets.h"
#include "host/task.h"

#define SESSION_CLASS   "ctz.repl.session"
#define HISTORY_ENTRIES 10000 // kept in memory
#define BLOCK_BYTES     4096  // read at once: what a terminal keeps
#define PASTE_MAX_BYTES (1024 * 1024)
#define ESCAPE_NS       UINT64_C(500000000) // a lone Escape is nothing after this silence

enum event { EVENT_END, EVENT_LINE, EVENT_INTERRUPT, EVENT_COMPLETE };
static const char *const event_names[] = {"end", "line", "interrupt", "complete"};

struct read_op {
    struct ctz_op op;
    char prompt[16];
    enum event event;
    struct ctz_buffer text; // the line, or what stands before the cursor
};

// A heap block, freed when its handles have closed.
struct ctz_repl {
    struct ctz_host *host;
    struct ctz_editor editor;
    struct read_op *reading;      // borrowed until it is settled or cancelled
    struct ctz_scope *evaluating; // what Ctrl-C cancels; kept by the userdata's user value
    struct ctz_buffer input;      // bytes that are no keys yet
    struct ctz_buffer paste;      // what came of a paste so far
    struct ctz_timer escape;      // runs while the input begins with a part of a key
    uv_poll_t poll;
    uv_signal_t resized, continued;
    int fd; // of the terminal, our own
    unsigned handles;
    bool pastes;      // between the two marks of a paste
    bool covered;     // output is being written where the line stood
    bool quotes;      // Ctrl-V: the next character is text
    bool at_end;      // the terminal has gone
    bool interrupted; // by Ctrl-C between two states: what is evaluated next is cancelled
};

static bool has_terminal(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

// --- events ------------------------------------------------------------------------------------

static void settle(struct ctz_repl *repl, enum event event)
{
    struct read_op *op = repl->reading;
    op->event = event;
    repl->reading = NULL;
    uv_poll_stop(&repl->poll);
    ctz_timer_stop(repl->host, &repl->escape);
    if (op->text.failed)
        ctz_error_set(&op->op.err, CTZ_ERROR_IO, "out of memory");
    ctz_op_settle(&op->op);
}

static void settle_text(struct ctz_repl *repl, enum event event)
{
    ctz_editor_text(&repl->editor, event == EVENT_COMPLETE, &repl->reading->text);
    settle(repl, event);
}

// The line will stay: progress lines above it could no longer be taken away.
static void leave_line(struct ctz_repl *repl, const char *mark)
{
    ctz_egress_take_status(repl->host);
    ctz_editor_leave(&repl->editor, mark);
}

static void interrupt_line(struct ctz_repl *repl)
{
    leave_line(repl, "^C");
    settle(repl, EVENT_INTERRUPT);
}

static void end_input(struct ctz_repl *repl)
{
    if (repl->editor.shown)
        leave_line(repl, "");
    settle(repl, EVENT_END);
}

// As the terminal does it for Ctrl-Z: the whole group stops. When it goes on the signal SIGCONT
// comes too, but not when nobody was there to stop it.
static void stop(struct ctz_repl *repl)
{
    leave_line(repl, "^Z");
    ctz_editor_suspend(&repl->editor);
    kill(0, SIGTSTP);
    if (has_terminal())
        ctz_editor_resume(&repl->editor);
}

// --- keys --------------------------------------------------------------------------------------

// Before a line has text there is nothing to complete: Tab indents.
static bool is_indent(struct ctz_repl *repl)
{
    struct ctz_buffer text;
    ctz_buffer_init(&text, SIZE_MAX / 2);
    ctz_editor_text(&repl->editor, true, &text);
    const char *line = text.length ? memrchr(text.bytes, '\n', text.length) : NULL;
    size_t from = line ? (size_t)(line + 1 - text.bytes) : 0;
    bool blank = true;
    for (size_t i = from; i < text.length; i++)
        blank &= text.bytes[i] == ' ' || text.bytes[i] == '\t';
    ctz_buffer_clear(&text);
    return blank;
}

static void insert(struct ctz_repl *repl, const char *text, size_t size)
{
    if (ctz_editor_insert(&repl->editor, text, size) < 0)
        ctz_editor_beep(&repl->editor);
}

// A control character that means something to the session; false: one for the editor.
static bool take_control(struct ctz_repl *repl, uint32_t character)
{
    switch (character) {
    case CTZ_KEY_CTRL('C'):
        interrupt_line(repl);
        return true;
    case CTZ_KEY_CTRL('D'):
        if (!ctz_editor_is_empty(&repl->editor))
            return false;
        end_input(repl);
        return true;
    case CTZ_KEY_CTRL('V'):
        repl->quotes = true;
        return true;
    case CTZ_KEY_CTRL('Z'):
        stop(repl);
        return true;
    case CTZ_KEY_CTRL('\\'):
        ctz_editor_suspend(&repl->editor);
        kill(0, SIGQUIT);
        ctz_editor_resume(&repl->editor);
        return true;
    case '\t':
        if (is_indent(repl))
            insert(repl, "\t", 1);
        else
            settle_text(repl, EVENT_COMPLETE);
        return true;
    default:
        return false;
    }
}

static void take_quoted(struct ctz_repl *repl, const char *bytes, size_t size)
{
    repl->quotes = false;
    insert(repl, bytes, size);
}

static void take_key(struct ctz_repl *repl, struct ctz_key *key)
{
    if (key->kind == CTZ_KEY_IGNORED)
        return;
    if (key->kind == CTZ_KEY_PASTE_BEGIN) {
        repl->pastes = true;
        return;
    }
    bool is_character = key->kind == CTZ_KEY_CHARACTER;
    if (is_character && key->character == '\r')
        key->character = '\n';
    if (is_character && take_control(repl, key->character))
        return;
    if (key->kind == CTZ_KEY_DELETE && ctz_editor_is_empty(&repl->editor))
        return;
    bool ends = is_character && key->character == '\n';
    if (ends)
        ctz_egress_take_status(repl->host);
    ctz_editor_key(&repl->editor, key);
    if (ends)
        settle_text(repl, EVENT_LINE);
}

// A terminal sends the ends of lines of a paste as it sends Enter. The last one is dropped: Enter
// is left to the user.
static void end_paste(struct ctz_repl *repl)
{
    struct ctz_buffer *paste = &repl->paste;
    size_t length = 0;
    for (size_t i = 0; i < paste->length; i++) {
        char c = paste->bytes[i];
        if (c == '\n' && i > 0 && paste->bytes[i - 1] == '\r')
            continue;
        paste->bytes[length++] = c == '\r' ? '\n' : c;
    }
    while (length > 0 && paste->bytes[length - 1] == '\n')
        length--;
    if (paste->failed)
        ctz_editor_beep(&repl->editor); // too long, and dropped
    else
        insert(repl, paste->bytes, length);
    ctz_buffer_clear(paste);
    paste->failed = false;
    repl->pastes = false;
}

// Returns how much of the input belongs to the paste and was taken; 0: more is needed.
static size_t take_paste(struct ctz_repl *repl)
{
    static const char mark[] = CTZ_PASTE_END;
    const size_t mark_size = sizeof mark - 1;
    const struct ctz_buffer *input = &repl->input;
    const char *end = memmem(input->bytes, input->length, mark, mark_size);
    size_t size = end                         ? (size_t)(end - input->bytes)
                  : input->length > mark_size ? input->length - mark_size
                                              : 0;
    ctz_buffer_append(&repl->paste, input->bytes, size); // when it fails the paste has failed
    if (!end)
        return size;
    end_paste(repl);
    return size + mark_size;
}

static size_t take_one(struct ctz_repl *repl)
{
    if (repl->pastes)
        return take_paste(repl);
    struct ctz_key key;
    size_t size = ctz_key_read(repl->input.bytes, repl->input.length, &key);
    if (size == 0)
        return 0;
    if (repl->quotes && key.kind == CTZ_KEY_CHARACTER) {
        take_quoted(repl, repl->input.bytes, size);
        return size;
    }
    take_key(repl, &key);
    return size;
}

static void on_escape(struct ctz_timer *timer)
{
    struct ctz_repl *repl = CTZ_CONTAINER(timer, struct ctz_repl, escape);
    ctz_buffer_clear(&repl->input);
}

// Takes keys while somebody reads. The rest waits for the next read.
static void take_keys(struct ctz_repl *repl)
{
    ctz_timer_stop(repl->host, &repl->escape);
    while (repl->reading && repl->input.length > 0) {
        size_t size = take_one(repl);
        if (size == 0)
            break;
        ctz_buffer_shift(&repl->input, size);
    }
    bool is_part = repl->reading && !repl->pastes && repl->input.length > 0;
    if (is_part && repl->input.bytes[0] == CTZ_KEY_ESCAPE)
        ctz_timer_start(repl->host, &repl->escape, ctz_now() + ESCAPE_NS, on_escape);
    if (repl->reading && repl->at_end)
        end_input(repl);
}

// --- the terminal ------------------------------------------------------------------------------

static bool has_input(const struct ctz_repl *repl)
{
    struct pollfd input = {.fd = repl->fd, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

// All that is there: the rest of a paste is not left to the terminal, which would echo it.
static void read_input(struct ctz_repl *repl)
{
    while (!repl->at_end && has_input(repl)) {
        char block[BLOCK_BYTES];
        ssize_t size = read(repl->fd, block, sizeof block);
        if (size > 0 && ctz_buffer_append(&repl->input, block, (size_t)size) == 0)
            continue;
        if (size < 0 && (errno == EINTR || errno == EAGAIN))
            break;
        repl->at_end = true;
    }
}

// Ctrl-D that was typed while something ran: the terminal has made a NUL of it (Linux n_tty.c).
static void read_typed_ahead(struct ctz_repl *repl)
{
    size_t from = repl->input.length;
    read_input(repl);
    for (size_t i = from; i < repl->input.length; i++)
        if (repl->input.bytes[i] == '\0')
            repl->input.bytes[i] = CTZ_KEY_CTRL('D');
}

static void on_readable(uv_poll_t *poll_handle, int status, int events)
{
    (void)events;
    struct ctz_repl *repl = poll_handle->data;
    repl->at_end |= status < 0;
    read_input(repl);
    take_keys(repl);
}

static void on_resized(uv_signal_t *handle, int number)
{
    (void)number;
    struct ctz_repl *repl = handle->data;
    if (has_terminal())
        ctz_editor_resize(&repl->editor);
}

static void on_continued(uv_signal_t *handle, int number)
{
    (void)number;
    struct ctz_repl *repl = handle->data;
    if (repl->reading && has_terminal())
        ctz_editor_resume(&repl->editor);
}

static void around_output(struct ctz_host *host, bool begins)
{
    struct ctz_repl *repl = host->repl;
    if (!has_terminal())
        return;
    if (begins) {
        repl->covered = repl->editor.shown;
        ctz_editor_hide(&repl->editor);
    } else if (repl->covered) {
        ctz_egress_end_line(host);
        ctz_editor_show(&repl->editor);
    }
}

// Ctrl-C at the prompt drops the line; during an evaluation it cancels that and not the session.
static bool on_interrupt(struct ctz_host *host, int reason)
{
    struct ctz_repl *repl = host->repl;
    if (repl->reading) {
        interrupt_line(repl);
        return true;
    }
    if (repl->evaluating && repl->evaluating->task && !repl->evaluating->cancelled) {
        ctz_scope_cancel(repl->evaluating, reason);
        return true;
    }
    repl->interrupted = !repl->evaluating;
    return false;
}

// --- reading -----------------------------------------------------------------------------------

static int start_reading(struct ctz_op *op)
{
    struct read_op *read_op = (struct read_op *)op;
    struct ctz_repl *repl = op->host->repl;
    int code = uv_poll_start(&repl->poll, UV_READABLE, on_readable);
    if (code < 0)
        return ctz_error_system(&op->err, code, "read the terminal");
    ctz_egress_flush(op->host);
    if (!repl->editor.shown) {
        bool rested = !repl->editor.edits;
        ctz_egress_end_line(op->host);
        ctz_editor_begin(&repl->editor, read_op->prompt);
        if (rested)
            read_typed_ahead(repl);
    }
    repl->reading = read_op;
    repl->interrupted = false;
    take_keys(repl);
    return 0;
}

static void cancel_reading(struct ctz_op *op)
{
    struct ctz_repl *repl = op->host->repl;
    if (repl && repl->reading == (struct read_op *)op) {
        uv_poll_stop(&repl->poll);
        ctz_timer_stop(repl->host, &repl->escape);
        repl->reading = NULL;
    }
    ctz_op_settle(op);
}

static int push_event(lua_State *L, struct ctz_op *op)
{
    struct read_op *read_op = (struct read_op *)op;
    unsigned columns, rows;
    ctz_egress_size(&columns, &rows);
    lua_pushstring(L, event_names[read_op->event]);
    lua_pushlstring(L, read_op->text.bytes ? read_op->text.bytes : "", read_op->text.length);
    lua_pushinteger(L, columns);
    return 3;
}

static void clear_read(struct ctz_op *op)
{
    ctz_buffer_clear(&((struct read_op *)op)->text);
}

static const struct ctz_op_class read_class = {.name = "waits for a line",
                                               .start = start_reading,
                                               .cancel = cancel_reading,
                                               .push = push_event,
                                               .clear = clear_read};

// --- life --------------------------------------------------------------------------------------

static void free_repl(uv_handle_t *handle)
{
    struct ctz_repl *repl = handle->data;
    if (--repl->handles == 0)
        ctz_free(repl);
}

static void close_repl(struct ctz_repl *repl)
{
    struct ctz_host *host = repl->host;
    host->on_interrupt = NULL;
    host->around_output = NULL;
    host->repl = NULL;
    ctz_timer_stop(host, &repl->escape);
    ctz_editor_close(&repl->editor);
    ctz_buffer_clear(&repl->input);
    ctz_buffer_clear(&repl->paste);
    uv_close((uv_handle_t *)&repl->poll, free_repl);
    uv_close((uv_handle_t *)&repl->resized, free_repl);
    uv_close((uv_handle_t *)&repl->continued, free_repl);
    close(repl->fd);
}

static void watch_signal(struct ctz_repl *repl, uv_signal_t *handle, uv_signal_cb call, int number)
{
    uv_signal_init(&repl->host->loop, handle);
    handle->data = repl;
    uv_signal_start(handle, call, number);
    uv_unref((uv_handle_t *)handle);
}

// uv_poll_init makes the descriptor non-blocking, for everybody who shares the terminal: undone.
static int open_poll(struct ctz_repl *repl, struct ctz_error *err)
{
    repl->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (repl->fd < 0)
        return ctz_error_system(err, errno, "open the terminal");
    int flags = fcntl(repl->fd, F_GETFL);
    int code = uv_poll_init(&repl->host->loop, &repl->poll, repl->fd);
    fcntl(repl->fd, F_SETFL, flags);
    if (code < 0) {
        close(repl->fd);
        return ctz_error_system(err, code, "watch the terminal");
    }
    repl->poll.data = repl;
    return 0;
}

static struct ctz_repl *open_repl(struct ctz_host *host, struct ctz_error *err)
{
    struct ctz_repl *repl = ctz_calloc(1, sizeof *repl);
    if (!repl) {
        ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
        return NULL;
    }
    repl->host = host;
    ctz_buffer_init(&repl->input, SIZE_MAX / 2);
    ctz_buffer_init(&repl->paste, PASTE_MAX_BYTES);
    if (ctz_editor_open(&repl->editor, HISTORY_ENTRIES, err) < 0 || open_poll(repl, err) < 0) {
        ctz_editor_close(&repl->editor);
        ctz_free(repl);
        return NULL;
    }
    watch_signal(repl, &repl->resized, on_resized, SIGWINCH);
    watch_signal(repl, &repl->continued, on_continued, SIGCONT);
    repl->handles = 3;
    host->repl = repl;
    host->on_interrupt = on_interrupt;
    host->around_output = around_output;
    return repl;
}

// --- Lua ---------------------------------------------------------------------------------------

static struct ctz_repl *check_session(lua_State *L)
{
    struct ctz_repl **held = ctz_object_check(L, 1, SESSION_CLASS);
    if (!*held)
        ctz_usage(L, "the session is closed");
    return *held;
}

// () -> session: one at a time
static int l_open(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    struct ctz_error err = {0};
    if (host->repl)
        return ctz_usage(L, "there is a session already");
    struct ctz_repl **held = ctz_object_new(L, SESSION_CLASS, sizeof(struct ctz_repl *), 1);
    *held = open_repl(host, &err);
    return *held ? 1 : ctz_raise(L, &err);
}

// (prompt) -> "line", text | "complete", what stands before the cursor, columns | "interrupt" |
// "end"
static int l_read(lua_State *L)
{
    const struct ctz_repl *repl = check_session(L);
    const char *prompt = ctz_check_string(L, 2, "prompt", NULL);
    if (repl->reading)
        return ctz_usage(L, "one task reads at a time");
    struct read_op *op = ctz_op_new(L, &read_class, sizeof *op);
    ctz_buffer_init(&op->text, SIZE_MAX / 2);
    strncpy(op->prompt, prompt, sizeof op->prompt - 1);
    return ctz_await(L, op);
}

// (text) -> true: into the line, at the cursor
static int l_insert(lua_State *L)
{
    size_t size;
    struct ctz_repl *repl = check_session(L);
    const char *text = ctz_check_string(L, 2, "text", &size);
    insert(repl, text, size);
    lua_pushboolean(L, true);
    return 1;
}

// (text) -> true: above the line
static int l_show(lua_State *L)
{
    size_t size;
    struct ctz_repl *repl = check_session(L);
    const char *text = ctz_check_string(L, 2, "text", &size);
    ctz_editor_hide(&repl->editor);
    ctz_egress_write(repl->host, CTZ_STDOUT, text, size);
    ctz_egress_flush(repl->host);
    ctz_editor_show(&repl->editor);
    lua_pushboolean(L, true);
    return 1;
}

// Ctrl-C and Ctrl-Z that were typed behind the end of the line are meant for what it runs. Does it
// stop?
static bool take_signals(struct ctz_repl *repl)
{
    struct ctz_buffer *input = &repl->input;
    read_input(repl);
    if (repl->pastes || input->length == 0)
        return false;
    const char *interrupt = memrchr(input->bytes, CTZ_KEY_CTRL('C'), input->length);
    if (interrupt) // what stands before it is dropped, as the terminal would
        ctz_buffer_shift(input, (size_t)(interrupt + 1 - input->bytes));
    repl->interrupted |= interrupt != NULL;
    char *stop = input->length ? memchr(input->bytes, CTZ_KEY_CTRL('Z'), input->length) : NULL;
    if (!stop)
        return false;
    memmove(stop, stop + 1, (size_t)(input->bytes + input->length - stop) - 1);
    input->length--;
    return true;
}

static int l_beep(lua_State *L)
{
    ctz_editor_beep(&check_session(L)->editor);
    lua_pushboolean(L, true);
    return 1;
}

// () -> true: the terminal is as it was, until the next read
static int l_rest(lua_State *L)
{
    struct ctz_repl *repl = check_session(L);
    bool stops = repl->editor.edits && take_signals(repl);
    ctz_editor_rest(&repl->editor);
    if (stops)
        kill(0, SIGTSTP);
    lua_pushboolean(L, true);
    return 1;
}

static bool has_background_tasks(const struct ctz_scope *scope)
{
    for (const struct ctz_task *task = scope->children; task; task = task->sibling_next)
        if (task->background)
            return true;
    return false;
}

// (scope or nil) -> boolean: what Ctrl-C cancels while no line is read. nil: it has ended; do tasks
// live on in it that end with it?
static int l_evaluating(lua_State *L)
{
    struct ctz_repl *repl = check_session(L);
    bool lives = repl->evaluating && has_background_tasks(repl->evaluating);
    bool ends = lua_isnoneornil(L, 2);
    struct ctz_scope *scope = ends ? NULL : ctz_object_check(L, 2, CTZ_SCOPE_CLASS);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, 1);
    repl->evaluating = scope;
    if (scope && repl->interrupted)
        ctz_scope_cancel(scope, CTZ_CANCEL_REQUEST);
    repl->interrupted = false;
    lua_pushboolean(L, lives);
    return 1;
}

// (text) -> true: into the history that the cursor keys show
static int l_remember(lua_State *L)
{
    size_t size;
    struct ctz_repl *repl = check_session(L);
    const char *text = ctz_check_string(L, 2, "text", &size);
    if (ctz_editor_remember(&repl->editor, text, size) < 0)
        return luaL_error(L, "not enough memory");
    lua_pushboolean(L, true);
    return 1;
}

static int l_close(lua_State *L)
{
    struct ctz_repl **held = ctz_object_check(L, 1, SESSION_CLASS);
    if (*held)
        close_repl(*held);
    *held = NULL;
    lua_pushboolean(L, true);
    return 1;
}

// () -> are stdin and stdout a terminal?
static int l_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
    return 1;
}

// (text) -> would it be printed otherwise than it is, because a secret is in it?
static int l_masks(lua_State *L)
{
    size_t size;
    const char *text = ctz_check_string(L, 1, "text", &size);
    struct ctz_buffer masked;
    ctz_buffer_init(&masked, SIZE_MAX / 2);
    bool masks = ctz_secrets_mask(ctz_host(L), text, size, &masked);
    ctz_buffer_clear(&masked);
    lua_pushboolean(L, masks);
    return 1;
}

static const struct ctz_reg methods[] = {
    {"repl.read", l_read, CTZ_CAP_PURE, 0, 0},
    {"repl.insert", l_insert, CTZ_CAP_PURE, 0, 0},
    {"repl.show", l_show, CTZ_CAP_PURE, 0, 0},
    {"repl.beep", l_beep, CTZ_CAP_PURE, 0, 0},
    {"repl.rest", l_rest, CTZ_CAP_PURE, 0, 0},
    {"repl.evaluating", l_evaluating, CTZ_CAP_PURE, 0, 0},
    {"repl.remember", l_remember, CTZ_CAP_PURE, 0, 0},
    {"repl.close", l_close, CTZ_CAP_PURE, 0, 0},
    {"repl.__close", l_close, CTZ_CAP_PURE, 0, 0},
    {"repl.__gc", l_close, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"repl.open", l_open, CTZ_CAP_PURE, 0, 0},
    {"repl.is_terminal", l_is_terminal, CTZ_CAP_PURE, 0, 0},
    {"repl.masks", l_masks, CTZ_CAP_PURE, 0, 0},
    {"repl.append", ctz_l_history_append, CTZ_CAP_WRITE, 1, 0},
    {"repl.load", ctz_l_history_load, CTZ_CAP_READ, 1, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

__attribute__((visibility("default"))) int luaopen_ctz_core_repl(lua_State *L)
{
    ctz_class(L, SESSION_CLASS, methods);
    ctz_door(L, functions);
    return 1;
}
