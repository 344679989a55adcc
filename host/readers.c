// readers.c: what reads of Lua's formats make of an input's bytes, and who waits for more of them.
// SPDX-License-Identifier: MIT
#include "host/readers.h"

#include <ctype.h>
#include <string.h>

#include "host/alloc.h"
#include "host/input.h"
#include "host/luax.h"
#include "host/op.h"

#define NUMERAL_MAX 200 // as L_MAXLENNUM of liolib.c

enum format_kind { NUMERAL, LINE, LINE_WITH_END, ALL, COUNT, SOME };

struct format {
    enum format_kind kind;
    size_t count; // of COUNT: how many; of SOME: at most
};

// One value read: nil, or the next `size` bytes of the reader's text.
struct value {
    size_t size;
    bool is_nil, is_numeral;
};

struct ctz_reader {
    struct ctz_op op;
    struct ctz_input *input; // NULL once it stands in no queue
    struct ctz_reader *next, **link;
    struct ctz_buffer text;
    uint64_t max_bytes;
    size_t scanned; // bytes of the input that are known to hold no line end
    int formats, done;
    struct value *values; // behind list
    struct format list[];
};

// --- formats -----------------------------------------------------------------------------------

// The bytes that are there; ended: none will follow.
struct view {
    const char *bytes;
    size_t size;
    bool ended;
};

// What a format takes: [start, start + size) is the value, consumed bytes are gone.
struct taking {
    size_t start, size, consumed;
    bool is_nil;
};

enum outcome { TAKEN, NEEDS_MORE };

struct numeral {
    const struct view *view;
    size_t at;
    char text[NUMERAL_MAX + 1];
    size_t length;
    bool ran_out, too_long;
};

static int look(struct numeral *numeral)
{
    if (numeral->at < numeral->view->size)
        return (unsigned char)numeral->view->bytes[numeral->at];
    numeral->ran_out |= !numeral->view->ended;
    return -1;
}

static bool take_char(struct numeral *numeral)
{
    if (numeral->length >= NUMERAL_MAX) {
        numeral->too_long = true;
        return false;
    }
    numeral->text[numeral->length++] = numeral->view->bytes[numeral->at++];
    return true;
}

static bool take_one_of(struct numeral *numeral, const char *set)
{
    int c = look(numeral);
    return c > 0 && strchr(set, c) && take_char(numeral);
}

static int take_digits(struct numeral *numeral, bool hex)
{
    int count = 0;
    for (int c; (c = look(numeral)) >= 0 && (hex ? isxdigit(c) : isdigit(c)) && take_char(numeral);)
        count++;
    return count;
}

// The same steps as read_number of liolib.c: the longest prefix that looks like a numeral is taken,
// also when it turns out to be none.
static void scan_numeral(struct numeral *numeral)
{
    bool hex = false;
    int digits = 0;
    while (isspace(look(numeral)))
        numeral->at++;
    take_one_of(numeral, "-+");
    if (take_one_of(numeral, "0")) {
        hex = take_one_of(numeral, "xX");
        digits = !hex;
    }
    digits += take_digits(numeral, hex);
    if (take_one_of(numeral, "."))
        digits += take_digits(numeral, hex);
    if (digits > 0 && take_one_of(numeral, hex ? "pP" : "eE")) {
        take_one_of(numeral, "-+");
        take_digits(numeral, false);
    }
}

static enum outcome take_numeral(struct ctz_reader *reader, const struct view *view,
                                 struct taking *taking)
{
    struct numeral numeral = {.view = view};
    scan_numeral(&numeral);
    if (numeral.ran_out)
        return NEEDS_MORE;
    lua_State *L = ctz_input_host(reader->input)->L;
    numeral.text[numeral.too_long ? 0 : numeral.length] = '\0';
    *taking = (struct taking){numeral.at - numeral.length, numeral.length, numeral.at, true};
    if (lua_stringtonumber(L, numeral.text)) {
        lua_pop(L, 1);
        taking->is_nil = false;
    }
    return TAKEN;
}

static enum outcome take_line(struct ctz_reader *reader, const struct view *view, bool with_end,
                              struct taking *taking)
{
    size_t from = reader->scanned < view->size ? reader->scanned : view->size;
    const char *end =
        from < view->size ? memchr(view->bytes + from, '\n', view->size - from) : NULL;
    if (!end && !view->ended) {
        reader->scanned = view->size;
        return NEEDS_MORE;
    }
    size_t size = end ? (size_t)(end - view->bytes) : view->size;
    size_t consumed = size + (end != NULL);
    *taking = (struct taking){0, with_end ? consumed : size, consumed, consumed == 0};
    return TAKEN;
}

static enum outcome take_count(const struct view *view, size_t count, struct taking *taking)
{
    size_t wanted = count ? count : 1; // read(0) asks whether the end has come
    if (view->size < wanted && !view->ended)
        return NEEDS_MORE;
    size_t size = view->size < count ? view->size : count;
    *taking = (struct taking){0, size, size, view->size == 0};
    return TAKEN;
}

static enum outcome take_some(const struct view *view, size_t count, struct taking *taking)
{
    if (view->size == 0 && !view->ended)
        return NEEDS_MORE;
    size_t size = view->size < count ? view->size : count;
    *taking = (struct taking){0, size, size, size == 0};
    return TAKEN;
}

static enum outcome take_all(const struct view *view, struct taking *taking)
{
    *taking = (struct taking){0, view->size, view->size, false};
    return view->ended ? TAKEN : NEEDS_MORE;
}

static enum outcome take_format(struct ctz_reader *reader, const struct view *view,
                                struct taking *taking)
{
    const struct format *format = &reader->list[reader->done];
    switch (format->kind) {
    case NUMERAL:
        return take_numeral(reader, view, taking);
    case LINE:
    case LINE_WITH_END:
        return take_line(reader, view, format->kind == LINE_WITH_END, taking);
    case ALL:
        return take_all(view, taking);
    case COUNT:
        return take_count(view, format->count, taking);
    default:
        return take_some(view, format->count, taking);
    }
}

// --- one reader --------------------------------------------------------------------------------

static bool is_too_long(struct ctz_reader *reader, size_t size)
{
    if (size <= reader->max_bytes)
        return false;
    ctz_error_set(&reader->op.err, CTZ_ERROR_SIZE, "a line or block has more than %llu bytes",
                  (unsigned long long)reader->max_bytes);
    ctz_error_hint(&reader->op.err, "read it in smaller blocks, or raise the limit: `ctz doctor` "
                                    "lists all limits");
    return true;
}

// Takes what the next format wants; false when more must come first.
static bool advance(struct ctz_reader *reader)
{
    struct ctz_input *input = reader->input;
    struct view view = {.ended = ctz_input_has_ended(input)};
    view.bytes = ctz_input_bytes(input, &view.size);
    struct taking taking;
    enum outcome outcome = take_format(reader, &view, &taking);
    if (is_too_long(reader, outcome == TAKEN ? taking.size : view.size))
        return true;
    if (outcome == NEEDS_MORE)
        return false;
    struct value *value = &reader->values[reader->done];
    *value = (struct value){taking.is_nil ? 0 : taking.size, taking.is_nil,
                            reader->list[reader->done].kind == NUMERAL};
    if (ctz_buffer_append(&reader->text, view.bytes + taking.start, value->size) < 0)
        ctz_error_set(&reader->op.err, CTZ_ERROR_IO, "out of memory");
    ctz_input_take(input, taking.consumed);
    reader->scanned = 0;
    reader->done++;
    return true;
}

// Has it all it wants? A value that is nil ends the list, as in Lua.
static bool is_done(const struct ctz_reader *reader)
{
    return reader->op.err.kind || reader->done == reader->formats ||
           (reader->done > 0 && reader->values[reader->done - 1].is_nil);
}

static bool serve(struct ctz_reader *reader)
{
    while (!is_done(reader))
        if (!advance(reader))
            return false;
    int error = ctz_input_error(reader->input), last = reader->done - 1;
    bool met_end = last >= 0 && (reader->values[last].is_nil || reader->list[last].kind == ALL);
    if (error && met_end)
        ctz_error_system(&reader->op.err, error, "read");
    return true;
}

// --- the queue ---------------------------------------------------------------------------------

void ctz_readers_init(struct ctz_readers *readers, struct ctz_input *input)
{
    readers->first = NULL;
    readers->end = &readers->first;
    readers->input = input;
}

bool ctz_readers_wait(const struct ctz_readers *readers)
{
    return readers->first != NULL;
}

static void unlink_reader(struct ctz_reader *reader)
{
    struct ctz_readers *readers = ctz_input_readers(reader->input);
    *reader->link = reader->next;
    if (reader->next)
        reader->next->link = reader->link;
    else
        readers->end = reader->link;
    reader->input = NULL;
}

void ctz_readers_serve(struct ctz_readers *readers)
{
    while (readers->first && serve(readers->first)) {
        struct ctz_reader *reader = readers->first;
        unlink_reader(reader);
        ctz_op_settle(&reader->op);
    }
}

void ctz_readers_drop(struct ctz_readers *readers)
{
    while (readers->first) {
        struct ctz_reader *reader = readers->first;
        unlink_reader(reader);
        ctz_error_set(&reader->op.err, CTZ_ERROR_USAGE, "closed while this read waited");
        ctz_op_settle(&reader->op);
    }
}

static int start_read(struct ctz_op *op)
{
    struct ctz_reader *reader = (struct ctz_reader *)op;
    struct ctz_input *input = reader->input;
    struct ctz_readers *readers = ctz_input_readers(input);
    reader->next = NULL;
    reader->link = readers->end;
    *readers->end = reader;
    readers->end = &reader->next;
    ctz_readers_serve(readers);
    ctz_input_watch(input);
    return 0;
}

static void cancel_read(struct ctz_op *op)
{
    struct ctz_reader *reader = (struct ctz_reader *)op;
    struct ctz_input *input = reader->input;
    if (input) {
        unlink_reader(reader);
        ctz_readers_serve(ctz_input_readers(input)); // the next may want less
        ctz_input_watch(input);
    }
    ctz_op_settle(op);
}

static int push_values(lua_State *L, struct ctz_op *op)
{
    const struct ctz_reader *reader = (const struct ctz_reader *)op;
    const char *text = reader->text.bytes;
    luaL_checkstack(L, reader->done, "read");
    for (int i = 0; i < reader->done; i++) {
        const struct value *value = &reader->values[i];
        lua_pushlstring(L, value->size ? text : "", value->size);
        if (value->is_nil)
            lua_pushnil(L);
        else if (value->is_numeral)
            lua_stringtonumber(L, lua_tostring(L, -1));
        if (value->is_nil || value->is_numeral)
            lua_remove(L, -2);
        text += value->size;
    }
    return reader->done;
}

static void clear_read(struct ctz_op *op)
{
    ctz_buffer_clear(&((struct ctz_reader *)op)->text);
}

static const struct ctz_op_class read_class = {
    .name = "reads",
    .start = start_read,
    .cancel = cancel_read,
    .push = push_values,
    .clear = clear_read,
};

// --- Lua ---------------------------------------------------------------------------------------

static struct format check_format(lua_State *L, int idx)
{
    struct format format = {.kind = COUNT};
    if (lua_type(L, idx) == LUA_TNUMBER) {
        format.count = (size_t)ctz_check_integer(L, idx, "format", 0, INT64_MAX);
        return format;
    }
    const char *name = ctz_check_string(L, idx, "format", NULL);
    name += *name == '*'; // as Lua 5.1 wrote them
    switch (*name) {
    case 'n':
        format.kind = NUMERAL;
        break;
    case 'l':
        format.kind = LINE;
        break;
    case 'L':
        format.kind = LINE_WITH_END;
        break;
    case 'a':
        format.kind = ALL;
        break;
    case 's':
        format = (struct format){SOME, SIZE_MAX};
        break;
    default:
        ctz_usage(L,
                  "bad argument 'format' to '%s': expected n, l, L, a or a number of bytes, "
                  "got \"%s\"",
                  ctz_function_name(L), name);
    }
    return format;
}

int ctz_input_read(lua_State *L, struct ctz_input *input, int first, double timeout_s,
                   uint64_t max_bytes)
{
    int given = lua_gettop(L) - first + 1, count = given > 0 ? given : 1;
    for (int i = 0; i < given; i++)
        check_format(L, first + i); // may raise: before there is an op
    size_t size =
        sizeof(struct ctz_reader) + (size_t)count * (sizeof(struct format) + sizeof(struct value));
    struct ctz_reader *reader = ctz_op_new(L, &read_class, size);
    for (int i = 0; i < given; i++)
        reader->list[i] = check_format(L, first + i);
    if (given <= 0)
        reader->list[0].kind = LINE;
    reader->values = (struct value *)(void *)(reader->list + count);
    reader->formats = count;
    reader->input = input;
    reader->max_bytes = max_bytes;
    reader->op.timeout_s = timeout_s;
    ctz_buffer_init(&reader->text, SIZE_MAX / 2);
    return ctz_await(L, reader);
}
