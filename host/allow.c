// allow.c: what a run may touch.
// SPDX-License-Identifier: MIT
#include "host/allow.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/alloc.h"
#include "host/luax.h"

int ctz_allow_add(struct ctz_allow_list **list, const char *grant, struct ctz_error *err)
{
    const char *equals = strchr(grant, '=');
    size_t length = equals ? (size_t)(equals - grant) : strlen(grant);
    const char *names[CTZ_CAP_COUNT + 1] = {0};
    enum ctz_capability capability = CTZ_CAP_UNNAMED;
    for (int i = CTZ_CAP_READ; i < CTZ_CAP_COUNT; i++) {
        const char *name = names[i - CTZ_CAP_READ] = ctz_capability_name((enum ctz_capability)i);
        if (strlen(name) == length && memcmp(name, grant, length) == 0)
            capability = (enum ctz_capability)i;
    }
    if (capability == CTZ_CAP_UNNAMED) {
        char kind[32] = "";
        strncpy(kind, grant, length < sizeof kind ? length : sizeof kind - 1);
        const char *near = ctz_nearest(kind, names);
        ctz_error_set(err, CTZ_ERROR_USAGE, "--allow knows no kind \"%s\"", kind);
        ctz_error_hint(
            err, near ? "did you mean %s?" : "kinds: read write run net env docker kubernetes",
            near);
        return -1;
    }
    struct ctz_allow_list *entry = ctz_calloc(1, sizeof *entry);
    if (!entry || (equals && !(entry->subject = ctz_strdup(equals + 1)))) {
        ctz_free(entry);
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    }
    entry->capability = capability;
    entry->next = *list;
    *list = entry;
    return 0;
}

void ctz_allow_clear(struct ctz_allow_list **list)
{
    while (*list) {
        struct ctz_allow_list *next = (*list)->next;
        ctz_free((*list)->subject);
        ctz_free(*list);
        *list = next;
    }
}

// The path with symbolic links followed as far as it exists; false when it is too long or has a
// ".." in the part that does not exist yet.
static bool real_path(const char *path, char out[PATH_MAX])
{
    char head[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof head)
        return false;
    memcpy(head, path, length + 1);
    size_t cut = length; // head[0, cut) exists
    while (!realpath(cut ? head : (path[0] == '/' ? "/" : "."), out)) {
        if (cut == 0)
            return false;
        while (cut > 0 && head[cut - 1] == '/')
            cut--;
        while (cut > 0 && head[cut - 1] != '/')
            cut--;
        head[cut] = '\0';
    }
    const char *tail = path + cut;
    for (const char *part = tail; *part; part += strcspn(part, "/"), part += *part == '/')
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    size_t base = strlen(out);
    if (base + 1 + strlen(tail) >= PATH_MAX)
        return false;
    if (*tail) {
        if (base > 1)
            out[base++] = '/';
        memcpy(out + base, tail, strlen(tail) + 1);
    }
    return true;
}

static bool path_matches(const char *granted, const char *path)
{
    char root[PATH_MAX], real[PATH_MAX];
    if (!real_path(granted, root) || !real_path(path, real))
        return false;
    size_t length = strlen(root);
    if (length == 1)
        return true; // "/"
    return strncmp(root, real, length) == 0 && (real[length] == '/' || real[length] == '\0');
}

// "example.org" grants every port of it, "example.org:443" one.
static bool address_matches(const char *granted, const char *address)
{
    size_t length = strlen(granted);
    if (strncmp(granted, address, length) != 0)
        return false;
    return address[length] == '\0' ||
           (address[length] == ':' && !strchr(address + length + 1, ':'));
}

// "git" grants whatever PATH finds under that name; "/usr/bin/git" that file.
static bool program_matches(const char *granted, const char *program)
{
    return strcmp(granted, program) == 0;
}

static bool subject_matches(enum ctz_capability capability, const char *granted,
                            const char *subject)
{
    switch (capability) {
    case CTZ_CAP_READ:
    case CTZ_CAP_WRITE:
        return path_matches(granted, subject);
    case CTZ_CAP_NET:
        return address_matches(granted, subject);
    case CTZ_CAP_RUN:
        return program_matches(granted, subject);
    default:
        return strcmp(granted, subject) == 0;
    }
}

bool ctz_allow_matches(const struct ctz_allow_list *list, enum ctz_capability capability,
                       const char *subject)
{
    for (; list; list = list->next) {
        if (list->capability != capability)
            continue;
        if (!list->subject || (subject && subject_matches(capability, list->subject, subject)))
            return true;
    }
    return false;
}

bool ctz_allowed(lua_State *L, enum ctz_capability capability, const char *subject)
{
    const struct ctz_allow_list *list = ctz_host(L)->allow;
    return !list || capability <= CTZ_CAP_HELD || ctz_allow_matches(list, capability, subject);
}

void ctz_allow(lua_State *L, enum ctz_capability capability, const char *subject)
{
    if (ctz_allowed(L, capability, subject))
        return;
    const char *kind = ctz_capability_name(capability);
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_DENIED, "this run may not %s%s%s",
                  capability == CTZ_CAP_NET ? "reach" : kind, subject ? " " : "",
                  subject ? subject : "");
    ctz_error_hint(&err, "--allow %s%s%s grants it", kind, subject ? "=" : "",
                   subject ? subject : "");
    ctz_raise(L, &err);
}
