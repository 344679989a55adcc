// allow.h: the table behind --allow KIND=SUBJECT.
// SPDX-License-Identifier: MIT
#ifndef CTZ_ALLOW_H
#define CTZ_ALLOW_H

#include "host/api.h"
#include "host/door.h"
#include "host/error.h"

/// A grant of one capability for one subject; a list of them. No list at all: all is allowed.
struct ctz_allow_list {
    struct ctz_allow_list *next;
    enum ctz_capability capability;
    char *subject; // NULL: any
};

/// Adds "read=src", "run=git" or "net" (any subject).
int ctz_allow_add(struct ctz_allow_list **list, const char *grant, struct ctz_error *err);
void ctz_allow_clear(struct ctz_allow_list **list);
/// Does the list grant it? Paths match at and below the granted one, after symbolic links are
/// followed; a host matches with any port unless one is given; a program by its name or path.
bool ctz_allow_matches(const struct ctz_allow_list *list, enum ctz_capability capability,
                       const char *subject);

#endif
