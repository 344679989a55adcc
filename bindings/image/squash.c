// squash.c: the tree that the layers make together, found in one walk over their sorted lists.
// SPDX-License-Identifier: MIT
// Source: OCI image-spec v1.1, layer.md: whiteouts hide what lower layers have, never their own.
#include "bindings/image/files.h"

#include <stdlib.h>
#include <string.h>

#include "host/alloc.h"

#define MAX_LINKS      40 // as the kernel follows
#define MAX_PATH_BYTES 65536

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "squash layers: out of memory");
}

// --- the walk ----------------------------------------------------------------------------------

// A folder on the way: layers below `floor` are hidden in it.
struct frame {
    const char *path;
    uint32_t path_bytes, floor;
};

struct walk {
    struct ctz_squash *squash;
    struct ctz_file_list *lists;
    size_t count, capacity;
    size_t *cursors;      // owned: of each list
    struct frame *frames; // owned
    size_t depth, max_depth;
};

// The record that ends the run at the cursor: what stands at that path in that layer.
static struct ctz_file *head_at(const struct ctz_file_list *list, size_t cursor)
{
    while (cursor < list->count && list->files[cursor].kind == CTZ_FILE_PAST)
        cursor++;
    return cursor < list->count ? &list->files[cursor] : NULL;
}

static void skip_past(struct walk *walk, size_t layer)
{
    const struct ctz_file_list *list = &walk->lists[layer];
    size_t *cursor = &walk->cursors[layer];
    while (*cursor < list->count && list->files[*cursor].kind == CTZ_FILE_PAST)
        ++*cursor;
}

static const struct ctz_file *least(struct walk *walk)
{
    const struct ctz_file *first = NULL;
    for (size_t i = 0; i < walk->count; i++) {
        skip_past(walk, i);
        const struct ctz_file *file = head_at(&walk->lists[i], walk->cursors[i]);
        if (file && (!first || ctz_file_compare_paths(file->path, file->path_bytes, first->path,
                                                      first->path_bytes) < 0))
            first = file;
    }
    return first;
}

static uint32_t floor_of(struct walk *walk, const struct ctz_file *file)
{
    while (walk->depth) {
        const struct frame *top = &walk->frames[walk->depth - 1];
        if (ctz_file_is_below(file, top->path, top->path_bytes))
            return top->floor;
        walk->depth--;
    }
    return 0;
}

static int push_frame(struct walk *walk, const struct ctz_file *file, uint32_t floor,
                      struct ctz_error *err)
{
    if (walk->depth == walk->max_depth) {
        size_t depth = walk->max_depth ? walk->max_depth * 2 : 32;
        struct frame *frames = ctz_realloc(walk->frames, depth * sizeof *frames);
        if (!frames)
            return no_memory(err);
        walk->frames = frames;
        walk->max_depth = depth;
    }
    walk->frames[walk->depth++] = (struct frame){file->path, file->path_bytes, floor};
    return 0;
}

static int emit(struct walk *walk, struct ctz_file *file, struct ctz_error *err)
{
    struct ctz_squash *squash = walk->squash;
    if (squash->count == walk->capacity) {
        size_t capacity = walk->capacity ? walk->capacity * 2 : 256;
        struct ctz_file **files = ctz_realloc(squash->files, capacity * sizeof *files);
        if (!files)
            return no_memory(err);
        squash->files = files;
        walk->capacity = capacity;
    }
    file->alive = true;
    squash->files[squash->count++] = file;
    return 0;
}

// One path, from the highest layer down to the floor: what is seen of it, and the floor below it.
static struct ctz_file *choose(struct walk *walk, const struct ctz_file *path, uint32_t *floor)
{
    struct ctz_file *winner = NULL;
    for (size_t layer = walk->count; layer-- > *floor;) {
        struct ctz_file *file = head_at(&walk->lists[layer], walk->cursors[layer]);
        if (!file || file->path_bytes != path->path_bytes ||
            memcmp(file->path, path->path, path->path_bytes) != 0)
            continue;
        bool exists = file->kind != CTZ_FILE_WHITEOUT, is_folder = file->type == '5';
        if (exists && !winner)
            winner = file;
        else if (exists && is_folder && winner->kind == CTZ_FILE_IMPLIED)
            winner = file; // it knows the folder's facts
        if (exists && !is_folder) {
            *floor = (uint32_t)layer + 1;
            break;
        }
        if (file->opaque) {
            *floor = (uint32_t)layer;
            break;
        }
    }
    return winner;
}

static int step(struct walk *walk, const struct ctz_file *path, struct ctz_error *err)
{
    uint32_t floor = floor_of(walk, path);
    struct ctz_file *winner = choose(walk, path, &floor);
    struct ctz_file at = *path;
    for (size_t i = 0; i < walk->count; i++) {
        const struct ctz_file *file = head_at(&walk->lists[i], walk->cursors[i]);
        if (file && file->path_bytes == at.path_bytes &&
            memcmp(file->path, at.path, at.path_bytes) == 0)
            walk->cursors[i]++;
    }
    if (winner && emit(walk, winner, err) != 0)
        return -1;
    return push_frame(walk, &at, floor, err);
}

// --- hard links --------------------------------------------------------------------------------

// Is that path hidden by what the layer has at a folder on the way?
static bool hides(const struct ctz_file_list *list, const char *path, size_t size)
{
    for (size_t at = size; at > 0;) {
        const char *slash = memrchr(path, '/', at);
        at = slash ? (size_t)(slash - path) : 0;
        const struct ctz_file *file = ctz_file_list_find(list, path, at, UINT32_MAX);
        if (file && (file->kind == CTZ_FILE_WHITEOUT || file->opaque || file->type != '5'))
            return true;
    }
    return false;
}

static struct ctz_file *find_target(struct ctz_file_list *lists, const struct ctz_file *link)
{
    size_t size = strlen(link->link);
    struct ctz_file *found = ctz_file_list_find(&lists[link->layer], link->link, size, link->order);
    for (size_t layer = link->layer; (!found || found->kind == CTZ_FILE_WHITEOUT) && layer-- > 0;) {
        found = ctz_file_list_find(&lists[layer], link->link, size, UINT32_MAX);
        if (found && found->kind != CTZ_FILE_WHITEOUT)
            break;
        if (found || hides(&lists[layer], link->link, size))
            return NULL;
    }
    return found && found->kind != CTZ_FILE_WHITEOUT ? found : NULL;
}

static int bad_link(const struct ctz_file *link, const char *why, struct ctz_error *err)
{
    ctz_error_set(err, CTZ_ERROR_PROTOCOL, "layer %d: the hard link /%.*s leads to /%s, %s",
                  link->layer + 1, (int)link->path_bytes, link->path, link->link, why);
    return -1;
}

static int resolve_link(struct ctz_file_list *lists, struct ctz_file *link, struct ctz_error *err)
{
    struct ctz_file *target = find_target(lists, link);
    if (!target)
        return bad_link(link, "which is not there", err);
    if (target->type == '5')
        return bad_link(link, "a folder", err);
    link->data = target->type == '1' ? target->data : target;
    return link->data ? 0 : bad_link(link, "which is not there", err);
}

// Content whose own path is gone goes to the first link that is left.
static void find_heir(struct ctz_file *link)
{
    struct ctz_file *data = (struct ctz_file *)link->data;
    if (link->alive && !data->alive && !data->heir)
        data->heir = link;
}

static int resolve_links(struct ctz_file_list *lists, size_t count, struct ctz_error *err)
{
    for (size_t layer = 0; layer < count; layer++)
        for (size_t i = 0; i < lists[layer].entries; i++) {
            struct ctz_file *file = lists[layer].order[i];
            if (file && file->type == '1' && file->data == NULL &&
                resolve_link(lists, file, err) != 0)
                return -1;
            if (file && file->type == '1')
                find_heir(file);
        }
    return 0;
}

int ctz_squash_make(struct ctz_squash *squash, struct ctz_file_list *lists, size_t count,
                    struct ctz_error *err)
{
    struct walk walk = {.squash = squash, .lists = lists, .count = count};
    memset(squash, 0, sizeof *squash);
    walk.cursors = ctz_calloc(count ? count : 1, sizeof *walk.cursors);
    int result = walk.cursors ? 0 : no_memory(err);
    for (const struct ctz_file *path; result == 0 && (path = least(&walk));)
        result = step(&walk, path, err);
    if (result == 0)
        result = resolve_links(lists, count, err);
    ctz_free(walk.cursors);
    ctz_free(walk.frames);
    if (result != 0)
        ctz_squash_clear(squash);
    return result;
}

void ctz_squash_clear(struct ctz_squash *squash)
{
    ctz_free(squash->files);
    memset(squash, 0, sizeof *squash);
}

// --- one layer without some paths --------------------------------------------------------------

static bool is_stripped(const struct ctz_file *file, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ctz_file_is_below(file, paths[i], strlen(paths[i])))
            return true;
    return false;
}

size_t ctz_file_list_strip(struct ctz_file_list *list, const char *const *paths, size_t count)
{
    size_t gone = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct ctz_file *file = &list->files[i];
        file->alive = !is_stripped(file, paths, count);
        gone += !file->alive && (file->kind == CTZ_FILE_ENTRY || file->kind == CTZ_FILE_PAST);
    }
    for (size_t i = 0; i < list->entries; i++) {
        struct ctz_file *link = list->order[i], *target;
        if (!link || link->type != '1')
            continue;
        target = ctz_file_list_find(list, link->link, strlen(link->link), link->order);
        link->data = target && target->type == '1' ? target->data : target;
        if (link->data && link->data->kind != CTZ_FILE_WHITEOUT)
            find_heir(link);
        else
            link->data = NULL; // a lower layer has it
    }
    return gone;
}

// --- look-up -----------------------------------------------------------------------------------

struct ctz_file *ctz_squash_find(const struct ctz_squash *squash, const char *path, size_t size)
{
    size_t low = 0, high = squash->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct ctz_file *file = squash->files[middle];
        int order = ctz_file_compare_paths(file->path, file->path_bytes, path, size);
        if (order == 0)
            return file;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static struct ctz_file *not_found(const char *path, struct ctz_error *err)
{
    ctz_error_set(err, CTZ_ERROR_NOT_FOUND, "the image has no file %s", path);
    ctz_error_target(err, path);
    return NULL;
}

static struct ctz_file *too_deep(const char *path, struct ctz_error *err)
{
    ctz_error_set(err, CTZ_ERROR_PROTOCOL, "%s goes through too many links", path);
    ctz_error_target(err, path);
    return NULL;
}

// What a file is in truth: of a hard link the content.
static const struct ctz_file *content_of(const struct ctz_file *file)
{
    return file->type == '1' ? file->data : file;
}

// A path on its way: `walked` is done, all of it folders but the last part; `rest` is to come.
struct route {
    const struct ctz_squash *squash;
    struct ctz_buffer walked, rest;
    struct ctz_file *file; // at `walked`; NULL: nothing is there
    int links;
};

static void go_up(struct ctz_buffer *walked)
{
    const char *slash = walked->length ? memrchr(walked->bytes, '/', walked->length) : NULL;
    walked->length = slash ? (size_t)(slash - walked->bytes) : 0;
}

static void look(struct route *route)
{
    size_t size = route->walked.length;
    route->file = ctz_squash_find(route->squash, size ? route->walked.bytes : "", size);
}

// Takes the next part from rest; false: there is none.
static bool take_part(struct route *route)
{
    const char *text = route->rest.length ? route->rest.bytes : "";
    size_t skip = strspn(text, "/"), size = strcspn(text + skip, "/");
    const char *part = text + skip;
    if (size == 2 && memcmp(part, "..", 2) == 0) {
        go_up(&route->walked);
    } else if (size > 0 && !(size == 1 && *part == '.')) {
        if (route->walked.length)
            ctz_buffer_byte(&route->walked, '/');
        ctz_buffer_append(&route->walked, part, size);
    }
    if (size > 0)
        ctz_buffer_shift(&route->rest, skip + size);
    look(route);
    return size > 0;
}

// What is at `walked` is a link: its target comes first.
static void follow(struct route *route, const char *link)
{
    struct ctz_buffer target;
    ctz_buffer_init(&target, MAX_PATH_BYTES);
    ctz_buffer_format(&target, "%s/%s", link, route->rest.length ? route->rest.bytes : "");
    ctz_buffer_clear(&route->rest);
    route->rest = target;
    go_up(&route->walked);
    if (link[0] == '/')
        route->walked.length = 0;
    look(route);
    route->links++;
}

static bool has_more(const struct route *route)
{
    return route->rest.length && strspn(route->rest.bytes, "/") < route->rest.length;
}

static struct ctz_file *walk_path(struct route *route, const char *wanted, struct ctz_error *err)
{
    while (take_part(route)) {
        const struct ctz_file *content = route->file ? content_of(route->file) : NULL;
        if (!content)
            return route->walked.failed ? too_deep(wanted, err) : not_found(wanted, err);
        if (content->type == '2')
            follow(route, content->link);
        else if (content->type != '5' && has_more(route))
            return not_found(wanted, err);
        if (route->links > MAX_LINKS || route->rest.failed)
            return too_deep(wanted, err);
    }
    return route->file ? route->file : not_found(wanted, err);
}

struct ctz_file *ctz_squash_resolve(const struct ctz_squash *squash, const char *path,
                                    struct ctz_error *err)
{
    struct route route = {.squash = squash};
    ctz_buffer_init(&route.walked, MAX_PATH_BYTES);
    ctz_buffer_init(&route.rest, MAX_PATH_BYTES);
    ctz_buffer_text(&route.rest, path);
    struct ctz_file *file = route.rest.failed ? not_found(path, err) : walk_path(&route, path, err);
    ctz_buffer_clear(&route.walked);
    ctz_buffer_clear(&route.rest);
    return file;
}
