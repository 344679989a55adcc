// editor.h: one line that is being edited on the terminal, drawn by libedit.
// SPDX-License-Identifier: MIT
//
// Nothing here waits: libedit gets whole keys one by one, and returns after each.
#ifndef CTZ_REPL_EDITOR_H
#define CTZ_REPL_EDITOR_H

#include <histedit.h>
#include <locale.h>

#include "bindings/repl/keys.h"
#include "host/buffer.h"
#include "host/error.h"

struct ctz_editor {
    EditLine *edit;
    HistoryW *history;
    FILE *in, *out;  // of descriptors of our own
    locale_t locale; // UTF-8, for the calls of libedit only
    wchar_t keys[2]; // that libedit reads next
    unsigned key_count;
    char prompt[16];
    unsigned columns; // of the terminal, when the line was last drawn whole
    bool edits;       // the terminal sends each key
    bool shown;       // the prompt and the line stand on the terminal
    bool is_dumb;     // the terminal knows no escapes
};

int ctz_editor_open(struct ctz_editor *editor, unsigned history_entries, struct ctz_error *err);
/// The terminal is as it was. Also after an open that failed.
void ctz_editor_close(struct ctz_editor *editor);

/// Shows the prompt with an empty line.
void ctz_editor_begin(struct ctz_editor *editor, const char *prompt);
/// Between two lines: the terminal is as it was, for what runs now.
void ctz_editor_rest(struct ctz_editor *editor);
/// The line stays in memory while another program has the terminal.
void ctz_editor_suspend(struct ctz_editor *editor);
void ctz_editor_resume(struct ctz_editor *editor);

/// Takes the prompt and the line from the terminal, and puts them there again.
void ctz_editor_hide(struct ctz_editor *editor);
void ctz_editor_show(struct ctz_editor *editor);
void ctz_editor_resize(struct ctz_editor *editor);

/// One key; a newline ends the line, which is then no longer shown.
void ctz_editor_key(struct ctz_editor *editor, const struct ctz_key *key);
/// Text at the cursor, whatever is in it.
int ctz_editor_insert(struct ctz_editor *editor, const char *text, size_t size);
/// Leaves the line behind, with a mark ("^C") at its end.
void ctz_editor_leave(struct ctz_editor *editor, const char *mark);
void ctz_editor_beep(struct ctz_editor *editor);

bool ctz_editor_is_empty(struct ctz_editor *editor);
/// Appends the line, without the newline that ended it; to_cursor: what stands before the cursor.
void ctz_editor_text(struct ctz_editor *editor, bool to_cursor, struct ctz_buffer *out);
/// Into the history that the cursor keys show.
int ctz_editor_remember(struct ctz_editor *editor, const char *text, size_t size);

/// Rows between the beginning of the prompt and the place of the cursor behind text, on `next` (or
/// 0), as libedit has laid them out in columns and the terminal now shows them in now_columns. In
/// the locale that is set.
unsigned ctz_editor_rows(const char *prompt, const wchar_t *text, const wchar_t *end, wchar_t next,
                         unsigned columns, unsigned now_columns);

#endif
