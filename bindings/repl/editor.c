// editor.c: one line that is being edited on the terminal, drawn by libedit.
// SPDX-License-Identifier: MIT
//
// libedit's own interface, unbuffered: it reads from our queue of whole keys and never from the
// terminal. Its readline interface keeps the line in globals and waits for the rest of a key.
#include "bindings/repl/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "host/alloc.h"
#include "host/screen.h"

#define TAB_COLUMNS 8
#define PASTE_ON    "\033[?2004h"
#define PASTE_OFF   "\033[?2004l"
#define ERASE_DOWN  "\r\033[J"
#define REPLACEMENT 0xFFFD
#define MOVE_TO_END CTZ_KEY_CTRL('E')

// --- around libedit ----------------------------------------------------------------------------

static locale_t enter(const struct ctz_editor *editor)
{
    return uselocale(editor->locale);
}

static void leave(locale_t before)
{
    uselocale(before);
}

static void put(const struct ctz_editor *editor, const char *text)
{
    fputs(text, editor->out);
    fflush(editor->out); // a terminal that has gone is seen when it is read
}

static struct ctz_editor *editor_of(EditLine *edit)
{
    void *editor = NULL;
    el_wget(edit, EL_CLIENTDATA, &editor);
    return editor;
}

static char *prompt_of(EditLine *edit)
{
    return editor_of(edit)->prompt;
}

// libedit asks for more where we have no more: that ends what it was about.
static int next_key(EditLine *edit, wchar_t *key)
{
    struct ctz_editor *editor = editor_of(edit);
    if (editor->key_count == 0)
        return 0;
    *key = editor->keys[0];
    editor->keys[0] = editor->keys[1];
    editor->key_count--;
    return 1;
}

static void feed(struct ctz_editor *editor, wchar_t key, bool meta)
{
    int count;
    editor->key_count = meta ? 2 : 1;
    editor->keys[0] = meta ? CTZ_KEY_ESCAPE : key;
    editor->keys[1] = key;
    el_wgets(editor->edit, &count);
    editor->key_count = 0;
}

// --- text --------------------------------------------------------------------------------------

// As wide characters with a zero behind them, to be given to ctz_free.
static wchar_t *widen(const char *text, size_t size)
{
    wchar_t *wide = ctz_malloc((size + 1) * sizeof *wide);
    size_t length = 0;
    for (size_t at = 0; wide && at < size;) {
        uint32_t character = REPLACEMENT;
        size_t count = ctz_screen_decode(text + at, size - at, &character);
        wide[length++] = count && character ? (wchar_t)character : REPLACEMENT;
        at += count ? count : 1;
    }
    if (wide)
        wide[length] = L'\0';
    return wide;
}

static void put_utf8(uint32_t c, struct ctz_buffer *out)
{
    if (c < 0x80) {
        ctz_buffer_byte(out, (char)c);
        return;
    }
    unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xC0, 0xE0, 0xF0};
    ctz_buffer_byte(out, (char)(leads[more] | c >> (6 * more)));
    while (more-- > 0)
        ctz_buffer_byte(out, (char)(0x80 | (c >> (6 * more) & 0x3F)));
}

bool ctz_editor_is_empty(struct ctz_editor *editor)
{
    const LineInfoW *line = el_wline(editor->edit);
    return line->lastchar == line->buffer;
}

void ctz_editor_text(struct ctz_editor *editor, bool to_cursor, struct ctz_buffer *out)
{
    const LineInfoW *line = el_wline(editor->edit);
    const wchar_t *end = to_cursor ? line->cursor : line->lastchar;
    if (!to_cursor && !editor->shown && end > line->buffer && end[-1] == L'\n')
        end--; // the one that ended it
    for (const wchar_t *at = line->buffer; at < end; at++)
        put_utf8((uint32_t)*at, out);
}

int ctz_editor_remember(struct ctz_editor *editor, const char *text, size_t size)
{
    wchar_t *wide = widen(text, size);
    if (!wide)
        return -1;
    HistEventW event;
    locale_t before = enter(editor);
    int result = history_w(editor->history, &event, H_ENTER, wide);
    leave(before);
    ctz_free(wide);
    return result < 0 ? -1 : 0;
}

// --- the place on the terminal -----------------------------------------------------------------

// Where libedit has drawn to on a terminal of some columns, and where that is now that it has
// others: the terminal lays full rows out anew, and keeps the ends of lines.
struct place {
    unsigned columns, column, row;
    unsigned now_columns, now_column, now_row;
};

// A row is full, and the next character begins another.
static void wrap(unsigned columns, unsigned *column, unsigned *row)
{
    if (*column < columns)
        return;
    *column = 0;
    (*row)++;
}

static void end_row(struct place *place)
{
    bool is_full = place->now_column == 0 && place->column > 0; // only there: one end is enough
    if (!is_full)
        place->now_row++;
    place->row++;
    place->column = place->now_column = 0;
}

// A wide character is not split: libedit ends the row before it.
static void advance(struct place *place, unsigned width)
{
    if (place->column + width > place->columns)
        end_row(place);
    if (place->now_column + width > place->now_columns) {
        place->now_row++;
        place->now_column = 0;
    }
    place->column += width;
    place->now_column += width;
    wrap(place->columns, &place->column, &place->row);
    wrap(place->now_columns, &place->now_column, &place->now_row);
}

static void advance_tab(struct place *place)
{
    do
        advance(place, 1);
    while (place->column % TAB_COLUMNS != 0);
}

// Controls are shown as ^X, other characters that cannot be shown as \U+XXXX.
static unsigned shown_columns(wchar_t c)
{
    if (c < 0x20 || c == 0x7F)
        return 2;
    return c > 0xFFFF ? 8 : 7;
}

static void advance_over(struct place *place, wchar_t c)
{
    int width = wcwidth(c);
    if (c == L'\n') {
        end_row(place);
    } else if (c == L'\t') {
        advance_tab(place);
    } else if (width >= 0) {
        advance(place, (unsigned)width);
    } else {
        for (unsigned i = shown_columns(c); i > 0; i--)
            advance(place, 1);
    }
}

unsigned ctz_editor_rows(const char *prompt, const wchar_t *text, const wchar_t *end, wchar_t next,
                         unsigned columns, unsigned now_columns)
{
    struct place place = {.columns = columns, .now_columns = now_columns};
    for (const char *at = prompt; *at; at++)
        advance(&place, 1);
    for (; text < end; text++)
        advance_over(&place, *text);
    bool next_row = place.column + 1 == columns && wcwidth(next) == 2;
    return place.now_row + next_row;
}

static struct winsize size_of(const struct ctz_editor *editor)
{
    struct winsize size = {0};
    ioctl(fileno(editor->out), TIOCGWINSZ, &size);
    size.ws_col = size.ws_col ? size.ws_col : 80;
    size.ws_row = size.ws_row ? size.ws_row : 24;
    return size;
}

static unsigned rows_above_cursor(struct ctz_editor *editor)
{
    struct winsize size = size_of(editor);
    const LineInfoW *line = el_wline(editor->edit);
    wchar_t next = line->cursor < line->lastchar ? *line->cursor : L'\0';
    unsigned rows = ctz_editor_rows(editor->prompt, line->buffer, line->cursor, next,
                                    editor->columns, size.ws_col);
    unsigned most = size.ws_row - 1u; // what is above has left the screen
    return rows < most ? rows : most;
}

void ctz_editor_hide(struct ctz_editor *editor)
{
    if (!editor->shown)
        return;
    editor->shown = false;
    if (editor->is_dumb) {
        put(editor, "\n");
        return;
    }
    locale_t before = enter(editor);
    unsigned rows = rows_above_cursor(editor);
    leave(before);
    if (rows > 0)
        fprintf(editor->out, "\033[%uA", rows);
    put(editor, ERASE_DOWN);
}

void ctz_editor_show(struct ctz_editor *editor)
{
    if (editor->shown)
        return;
    locale_t before = enter(editor);
    el_wset(editor->edit, EL_REFRESH);
    leave(before);
    editor->columns = size_of(editor).ws_col;
    editor->shown = true;
}

void ctz_editor_resize(struct ctz_editor *editor)
{
    bool shown = editor->shown;
    ctz_editor_hide(editor);
    locale_t before = enter(editor);
    el_resize(editor->edit);
    leave(before);
    if (shown)
        ctz_editor_show(editor);
}

// --- the terminal ------------------------------------------------------------------------------

void ctz_editor_begin(struct ctz_editor *editor, const char *prompt)
{
    strncpy(editor->prompt, prompt, sizeof editor->prompt - 1);
    locale_t before = enter(editor);
    el_wset(editor->edit, EL_UNBUFFERED, 0); // else the next does nothing
    if (!editor->edits && !editor->is_dumb)
        put(editor, PASTE_ON);
    el_wset(editor->edit, EL_UNBUFFERED, 1); // an empty line, and the prompt
    leave(before);
    editor->columns = size_of(editor).ws_col;
    editor->edits = editor->shown = true;
}

static void let_go(struct ctz_editor *editor)
{
    if (editor->edits && !editor->is_dumb)
        put(editor, PASTE_OFF);
    editor->edits = editor->shown = false;
}

void ctz_editor_rest(struct ctz_editor *editor)
{
    let_go(editor);
    el_wset(editor->edit, EL_UNBUFFERED, 0);
}

void ctz_editor_suspend(struct ctz_editor *editor)
{
    let_go(editor);
    el_wset(editor->edit, EL_PREP_TERM, 0);
}

// The terminal may have been changed without our knowing: libedit is made to set it anew.
void ctz_editor_resume(struct ctz_editor *editor)
{
    ctz_editor_hide(editor);
    el_wset(editor->edit, EL_PREP_TERM, 0);
    el_wset(editor->edit, EL_PREP_TERM, 1);
    if (!editor->is_dumb)
        put(editor, PASTE_ON);
    editor->edits = true;
    ctz_editor_resize(editor);
    ctz_editor_show(editor);
}

// --- keys --------------------------------------------------------------------------------------

void ctz_editor_key(struct ctz_editor *editor, const struct ctz_key *key)
{
    bool deletes = key->kind == CTZ_KEY_DELETE;
    locale_t before = enter(editor);
    feed(editor, deletes ? CTZ_KEY_CTRL('D') : (wchar_t)key->character, key->kind == CTZ_KEY_META);
    leave(before);
    if (key->kind == CTZ_KEY_CHARACTER && key->character == '\n')
        editor->shown = false;
}

int ctz_editor_insert(struct ctz_editor *editor, const char *text, size_t size)
{
    wchar_t *wide = widen(text, size);
    if (!wide)
        return -1;
    locale_t before = enter(editor);
    bool shown = editor->shown;
    ctz_editor_hide(editor);
    int result = el_winsertstr(editor->edit, wide);
    leave(before);
    if (shown)
        ctz_editor_show(editor);
    ctz_free(wide);
    return result;
}

void ctz_editor_leave(struct ctz_editor *editor, const char *mark)
{
    locale_t before = enter(editor);
    feed(editor, MOVE_TO_END, false);
    leave(before);
    put(editor, mark);
    put(editor, "\n");
    editor->shown = false;
}

void ctz_editor_beep(struct ctz_editor *editor)
{
    put(editor, "\a");
}

// --- life --------------------------------------------------------------------------------------

// The user's; C.UTF-8 where that is not UTF-8, as in containers: terminals are.
static locale_t utf8_locale(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0)
        return locale;
    locale_t other = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (locale && other)
        freelocale(locale);
    return other ? other : locale;
}

static FILE *open_copy(int fd, const char *mode)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    FILE *file = copy < 0 ? NULL : fdopen(copy, mode);
    if (!file && copy >= 0)
        close(copy);
    return file;
}

static void bind(EditLine *edit, const wchar_t *key, const wchar_t *command)
{
    el_wset(edit, EL_BIND, key, command, NULL);
}

// Commands that would read a further key by themselves are not bound.
static void set_keys(EditLine *edit)
{
    el_wset(edit, EL_EDITOR, L"emacs");
    bind(edit, L"^D", L"ed-delete-next-char");
    bind(edit, L"^N", L"ed-next-history");
    bind(edit, L"^P", L"ed-prev-history");
    bind(edit, L"^R", L"ed-search-prev-history");
    bind(edit, L"^S", L"ed-search-next-history");
    bind(edit, L"^U", L"vi-kill-line-prev");
    bind(edit, L"^W", L"ed-delete-prev-word");
    bind(edit, L"^Q", L"ed-ignore");
    bind(edit, L"^V", L"ed-ignore");
    bind(edit, L"^X", L"ed-ignore");
    bind(edit, L"\\ex", L"ed-ignore");
    bind(edit, L"\\eX", L"ed-ignore");
}

static void set_up(struct ctz_editor *editor)
{
    EditLine *edit = editor->edit;
    el_wset(edit, EL_CLIENTDATA, editor);
    el_wset(edit, EL_SIGNAL, 0);
    el_set(edit, EL_PROMPT, prompt_of);
    el_wset(edit, EL_GETCFN, next_key);
    el_wset(edit, EL_HIST, history_w, editor->history);
    set_keys(edit);
    // Ctrl-C and Ctrl-Z are keys here: what was typed before and after them keeps its order.
    el_wset(edit, EL_SETTY, L"-d", L"-isig", NULL);
}

int ctz_editor_open(struct ctz_editor *editor, unsigned history_entries, struct ctz_error *err)
{
    const char *term = getenv("TERM");
    memset(editor, 0, sizeof *editor);
    editor->is_dumb = !term || !*term || strcmp(term, "dumb") == 0;
    editor->locale = utf8_locale();
    editor->in = open_copy(STDIN_FILENO, "r");
    editor->out = open_copy(STDOUT_FILENO, "w");
    editor->history = history_winit();
    if (!editor->locale || !editor->in || !editor->out || !editor->history)
        return ctz_error_system(err, errno, "open the terminal");
    HistEventW event;
    history_w(editor->history, &event, H_SETSIZE, (int)history_entries);
    history_w(editor->history, &event, H_SETUNIQUE, 1);
    locale_t before = enter(editor);
    editor->edit = el_init("ctz", editor->in, editor->out, stderr);
    if (editor->edit)
        set_up(editor);
    leave(before);
    if (!editor->edit)
        return ctz_error_set(err, CTZ_ERROR_IO, "open the terminal: out of memory");
    return 0;
}

void ctz_editor_close(struct ctz_editor *editor)
{
    if (editor->edit) {
        ctz_editor_rest(editor);
        el_end(editor->edit);
    }
    if (editor->history)
        history_wend(editor->history);
    if (editor->in)
        fclose(editor->in);
    if (editor->out)
        fclose(editor->out);
    if (editor->locale)
        freelocale(editor->locale);
    memset(editor, 0, sizeof *editor);
}
