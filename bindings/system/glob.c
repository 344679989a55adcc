// glob.c: paths that match a pattern.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bindings/system/files.h"
#include "host/alloc.h"

// --- one name ----------------------------------------------------------------------------------

// Bytes of the UTF-8 character at text; 1 for what is none.
static size_t character(const char *text)
{
    unsigned char first = (unsigned char)*text;
    size_t size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 1;
    for (size_t i = 1; i < size; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            return 1;
    return size;
}

// The code of the character at *text, which moves behind it.
static unsigned next_code(const char **text)
{
    size_t size = character(*text);
    unsigned code = 0;
    for (size_t i = 0; i < size; i++)
        code = code << 8 | (unsigned char)(*text)[i];
    *text += size;
    return code;
}

// A set as [a-z] at *pattern (behind the bracket): does it have the code? Moves *pattern behind it;
// NULL when it has no end.
static bool match_set(const char **pattern, unsigned code)
{
    const char *p = *pattern;
    bool negated = *p == '!' || *p == '^', found = false;
    p += negated;
    for (bool first = true; first || *p != ']'; first = false) {
        if (!*p) {
            *pattern = NULL;
            return false;
        }
        p += *p == '\\' && p[1];
        unsigned low = next_code(&p), high = low;
        if (*p == '-' && p[1] && p[1] != ']') {
            p++;
            p += *p == '\\' && p[1];
            high = next_code(&p);
        }
        found |= low <= code && code <= high;
    }
    *pattern = p + 1;
    return found != negated;
}

// Matches one character of the name against what stands at *pattern, and moves both on. A bracket
// without an end stands for itself.
static bool match_one(const char **pattern, const char **name)
{
    const char *p = *pattern, *set = p + 1;
    unsigned code = next_code(name);
    if (*p == '?') {
        *pattern = p + 1;
        return true;
    }
    bool in_set = *p == '[' && match_set(&set, code);
    if (*p == '[' && set) {
        *pattern = set;
        return in_set;
    }
    p += *p == '\\' && p[1];
    bool same = *p && next_code(&p) == code;
    *pattern = p;
    return same;
}

bool ctz_glob_match(const char *pattern, const char *name)
{
    const char *star = NULL,
               *tried = NULL; // behind the last *, and the name from where it was tried
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            tried = name;
        } else if (!match_one(&pattern, &name)) {
            if (!star)
                return false;
            pattern = star;
            name = tried += character(tried);
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

// --- paths -------------------------------------------------------------------------------------

struct search {
    struct ctz_names *found;
    bool hidden;
    const struct ctz_op *op;
    struct ctz_error *err;
};

static int search(struct search *search, const char *folder, const char *pattern);

static int no_memory(struct search *search)
{
    return ctz_error_set(search->err, CTZ_ERROR_IO, "out of memory");
}

static bool is_literal(const char *part)
{
    return part[strcspn(part, "*?[\\")] == '\0';
}

// "" is the current directory, before anything was found.
static char *join(const char *folder, const char *name)
{
    return *folder ? ctz_files_join(folder, name) : ctz_strdup(name);
}

// path has matched all but the rest of the pattern, "" or further parts. Takes path.
static int go_on(struct search *state, char *take_path, const char *rest)
{
    if (!take_path)
        return no_memory(state);
    if (*rest) {
        int result = search(state, take_path, rest);
        ctz_free(take_path);
        return result;
    }
    struct stat facts;
    if (lstat(take_path, &facts) != 0) {
        ctz_free(take_path);
        return 0;
    }
    return ctz_names_add(state->found, take_path) < 0 ? no_memory(state) : 0;
}

static bool is_folder(const char *path, bool follow)
{
    struct stat facts;
    return (follow ? stat(path, &facts) : lstat(path, &facts)) == 0 && S_ISDIR(facts.st_mode);
}

// The names in a folder; none where there is no folder, or none that we may read.
static int read_names(struct search *state, const char *folder, struct ctz_names *names)
{
    if (ctz_files_given_up(state->op, state->err) < 0)
        return -1;
    if (ctz_names_read(names, *folder ? folder : ".", state->err) == 0)
        return 0;
    const char *code = state->err->code ? state->err->code : "";
    bool is_absent =
        strcmp(code, "ENOENT") == 0 || strcmp(code, "ENOTDIR") == 0 || strcmp(code, "EACCES") == 0;
    if (!is_absent)
        return -1;
    ctz_error_clear(state->err);
    return 0;
}

// This folder, and each below it that is no link.
static int search_deep(struct search *state, const char *folder, const char *rest)
{
    struct ctz_names names = {0};
    int result = *rest ? search(state, folder, rest) : 0;
    if (result == 0)
        result = read_names(state, folder, &names);
    for (size_t i = 0; i < names.count && result == 0; i++) {
        if (names.list[i][0] == '.' && !state->hidden)
            continue;
        char *path = join(folder, names.list[i]);
        if (!path)
            result = no_memory(state);
        else if (!*rest && ctz_names_add(state->found, ctz_strdup(path)) < 0)
            result = no_memory(state);
        else if (is_folder(path, false))
            result = search_deep(state, path, rest);
        ctz_free(path);
    }
    ctz_names_clear(&names);
    return result;
}

static int search_names(struct search *state, const char *folder, const char *part,
                        const char *rest)
{
    struct ctz_names names = {0};
    int result = read_names(state, folder, &names);
    for (size_t i = 0; i < names.count && result == 0; i++) {
        const char *name = names.list[i];
        bool is_shown = name[0] != '.' || part[0] == '.' || state->hidden;
        if (is_shown && ctz_glob_match(part, name)) {
            char *path = join(folder, name);
            if (*rest && path && !is_folder(path, true))
                ctz_free(path);
            else
                result = go_on(state, path, rest);
        }
    }
    ctz_names_clear(&names);
    return result;
}

// The first part of the pattern in this folder, then the rest of it.
static int search(struct search *state, const char *folder, const char *pattern)
{
    size_t length = strcspn(pattern, "/");
    char *part = ctz_memdup(pattern, length);
    const char *rest = pattern + length + strspn(pattern + length, "/");
    int result;
    if (!part)
        return no_memory(state);
    if (strcmp(part, "**") == 0)
        result = search_deep(state, folder, rest);
    else if (is_literal(part))
        result = go_on(state, join(folder, part), rest);
    else
        result = search_names(state, folder, part, rest);
    ctz_free(part);
    return result;
}

static void drop_doubles(struct ctz_names *paths)
{
    size_t kept = 0;
    for (size_t i = 0; i < paths->count; i++) {
        if (kept > 0 && strcmp(paths->list[kept - 1], paths->list[i]) == 0)
            ctz_free(paths->list[i]);
        else
            paths->list[kept++] = paths->list[i];
    }
    paths->count = kept;
}

int ctz_files_glob(const char *root, const char *pattern, bool hidden, struct ctz_names *paths,
                   const struct ctz_op *op, struct ctz_error *err)
{
    struct search state = {.found = paths, .hidden = hidden, .op = op, .err = err};
    const char *folder = root ? root : "";
    if (*pattern == '/') {
        folder = "/";
        pattern += strspn(pattern, "/");
    }
    int result = *pattern ? search(&state, folder, pattern) : 0;
    ctz_names_sort(paths);
    drop_doubles(paths);
    return result;
}
