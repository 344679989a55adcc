// resolve.c: names become addresses, on libuv's pool.
// SPDX-License-Identifier: MIT
//
// libcurl's own resolver blocks its caller when a look-up is cancelled, so libcurl is handed
// addresses. A name that is being looked up is joined. A look-up that nobody waits for any more
// goes on in the pool until the system's resolver gives up: it is counted, its memory is its own,
// and libuv gives look-ups at most half of the pool. Names of /etc/hosts need no pool, so they are
// found also while name servers do not answer.
#include "host/http/inner.h"

#include <ctype.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define KNOWN_S         60.0            // how long addresses are used without asking again
#define KNOWN_NAMES     256             // at most
#define ADDRESSES       8               // of one name, at most
#define HOSTS_BYTES     (256 * CTZ_KIB) // a longer /etc/hosts is left to the system's resolver
#define ADDRESS_BYTES   (INET6_ADDRSTRLEN + 3)
#define ADDRESSES_BYTES (ADDRESSES * ADDRESS_BYTES)

struct http_lookup {
    uv_getaddrinfo_t request;
    struct ctz_http *client; // NULL once it has closed
    struct http_lookup *next;
    struct http_wait *waits;
    char *addresses; // owned; NULL while running
    uint64_t until_ns;
    bool running, abandoned;
    char name[];
};

static void free_lookup(struct http_lookup *lookup)
{
    ctz_free(lookup->addresses);
    ctz_free(lookup);
}

static void unlink_lookup(struct ctz_http *client, struct http_lookup *lookup)
{
    struct http_lookup **link = &client->lookups;
    while (*link != lookup)
        link = &(*link)->next;
    *link = lookup->next;
    client->lookup_count--;
}

// Appends one address to a list as CURLOPT_RESOLVE takes it.
static void append_address(char *list, const char *address)
{
    size_t length = strlen(list);
    bool is_v6 = strchr(address, ':') != NULL;
    snprintf(list + length, ADDRESSES_BYTES - length, "%s%s%s%s", length ? "," : "",
             is_v6 ? "[" : "", address, is_v6 ? "]" : "");
}

// --- /etc/hosts ----------------------------------------------------------------------------------

// "127.0.0.1 name alias # comment": appends the address when one of the names is ours.
static bool match_hosts_line(char *line, const char *name, char *list)
{
    line[strcspn(line, "#")] = '\0';
    char *rest, *address = strtok_r(line, " \t\r", &rest);
    unsigned char binary[16];
    if (!address ||
        (inet_pton(AF_INET, address, binary) != 1 && inet_pton(AF_INET6, address, binary) != 1))
        return false;
    for (const char *word; (word = strtok_r(NULL, " \t\r", &rest));)
        if (strcasecmp(word, name) == 0) {
            append_address(list, address);
            return true;
        }
    return false;
}

static bool find_in_hosts(const char *name, char list[ADDRESSES_BYTES])
{
    int found = 0;
    int descriptor = open("/etc/hosts", O_RDONLY | O_CLOEXEC);
    char *text = descriptor < 0 ? NULL : ctz_malloc(HOSTS_BYTES);
    ssize_t size = text ? read(descriptor, text, HOSTS_BYTES) : 0;
    if (size > 0 && (size_t)size < HOSTS_BYTES) {
        text[size] = '\0';
        char *rest;
        for (char *line = strtok_r(text, "\n", &rest); line && found < ADDRESSES;
             line = strtok_r(NULL, "\n", &rest))
            found += match_hosts_line(line, name, list);
    }
    ctz_free(text);
    if (descriptor >= 0)
        close(descriptor);
    return found > 0;
}

// --- the pool ----------------------------------------------------------------------------------

static void list_addresses(const struct addrinfo *result, char list[ADDRESSES_BYTES])
{
    int count = 0;
    for (; result && count < ADDRESSES; result = result->ai_next) {
        char text[INET6_ADDRSTRLEN];
        const void *address;
        if (result->ai_family == AF_INET)
            address = &((const struct sockaddr_in *)(const void *)result->ai_addr)->sin_addr;
        else if (result->ai_family == AF_INET6)
            address = &((const struct sockaddr_in6 *)(const void *)result->ai_addr)->sin6_addr;
        else
            continue;
        if (inet_ntop(result->ai_family, address, text, sizeof text)) {
            append_address(list, text);
            count++;
        }
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int code, struct addrinfo *result);

static int begin_lookup(struct http_lookup *lookup)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int code = uv_getaddrinfo(&lookup->client->host->loop, &lookup->request, on_resolved,
                              lookup->name, NULL, &hints);
    if (code == 0) {
        lookup->running = true;
        lookup->client->lookups_running++;
    }
    return code;
}

static void tell_waits(struct http_lookup *lookup, int code)
{
    while (lookup->waits) {
        struct http_wait *wait = lookup->waits;
        ctz_http_resolve_cancel(wait);
        wait->done(wait, code ? NULL : lookup->addresses, code);
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int code, struct addrinfo *result)
{
    struct http_lookup *lookup = CTZ_CONTAINER(request, struct http_lookup, request);
    struct ctz_http *client = lookup->client;
    char list[ADDRESSES_BYTES] = "";
    if (code == 0)
        list_addresses(result, list);
    uv_freeaddrinfo(result);
    if (!client) {
        free_lookup(lookup);
        return;
    }
    lookup->running = false;
    client->lookups_running--;
    client->lookups_abandoned -= lookup->abandoned;
    lookup->abandoned = false;
    if (code == UV_EAI_CANCELED && lookup->waits && (code = begin_lookup(lookup)) == 0)
        return; // it was joined between the cancel and here
    if (code == 0 && !*list)
        code = UV_EAI_NODATA;
    if (code == 0 && !(lookup->addresses = ctz_strdup(list)))
        code = UV_ENOMEM;
    lookup->until_ns = ctz_due(KNOWN_S);
    tell_waits(lookup, code); // a wait never closes the client
    if (code) {
        unlink_lookup(client, lookup);
        free_lookup(lookup);
    }
}

// --- asking ------------------------------------------------------------------------------------

static struct http_lookup *find_lookup(struct ctz_http *client, const char *name)
{
    for (struct http_lookup *lookup = client->lookups; lookup; lookup = lookup->next)
        if (strcmp(lookup->name, name) == 0)
            return lookup;
    return NULL;
}

// Makes room in the table: what is out of date goes, or else what is known longest.
static void forget_one(struct ctz_http *client)
{
    struct http_lookup *oldest = NULL;
    for (struct http_lookup *lookup = client->lookups; lookup; lookup = lookup->next)
        if (!lookup->running && (!oldest || lookup->until_ns < oldest->until_ns))
            oldest = lookup;
    if (oldest) {
        unlink_lookup(client, oldest);
        free_lookup(oldest);
    }
}

static struct http_lookup *make_lookup(struct ctz_http *client, const char *name)
{
    if (client->lookup_count >= KNOWN_NAMES)
        forget_one(client);
    size_t length = strlen(name);
    struct http_lookup *lookup = ctz_calloc(1, sizeof *lookup + length + 1);
    if (!lookup)
        return NULL;
    memcpy(lookup->name, name, length);
    lookup->client = client;
    lookup->next = client->lookups;
    client->lookups = lookup;
    client->lookup_count++;
    return lookup;
}

// Known by the hosts file? Then the table has it from now on.
static bool know_from_hosts(struct http_lookup *lookup)
{
    char list[ADDRESSES_BYTES] = "";
    if (!find_in_hosts(lookup->name, list))
        return false;
    lookup->addresses = ctz_strdup(list);
    lookup->until_ns = ctz_due(KNOWN_S);
    return lookup->addresses != NULL;
}

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
}

// The lookup of that name, known or running; NULL with err set.
static struct http_lookup *get_lookup(struct ctz_http *client, const char *name,
                                      struct ctz_error *err)
{
    struct http_lookup *lookup = find_lookup(client, name);
    if (lookup && !lookup->running && lookup->until_ns < ctz_now()) {
        unlink_lookup(client, lookup);
        free_lookup(lookup);
        lookup = NULL;
    }
    if (lookup)
        return lookup;
    lookup = make_lookup(client, name);
    if (!lookup) {
        no_memory(err);
        return NULL;
    }
    int code = know_from_hosts(lookup) ? 0 : begin_lookup(lookup);
    if (code) {
        ctz_error_system(err, code, "cannot look up \"%s\"", name);
        unlink_lookup(client, lookup);
        free_lookup(lookup);
        return NULL;
    }
    return lookup;
}

const char *ctz_http_resolve(struct ctz_http *client, const char *name, struct http_wait *wait,
                             struct ctz_error *err)
{
    struct http_lookup *lookup = get_lookup(client, name, err);
    if (!lookup)
        return NULL;
    if (!lookup->running)
        return lookup->addresses;
    client->lookups_abandoned -= lookup->abandoned;
    lookup->abandoned = false;
    wait->lookup = lookup;
    wait->next = lookup->waits;
    wait->link = &lookup->waits;
    if (wait->next)
        wait->next->link = &wait->next;
    lookup->waits = wait;
    return NULL;
}

void ctz_http_resolve_cancel(struct http_wait *wait)
{
    struct http_lookup *lookup = wait->lookup;
    if (!lookup)
        return;
    *wait->link = wait->next;
    if (wait->next)
        wait->next->link = wait->link;
    wait->lookup = NULL;
    if (lookup->waits || !lookup->running)
        return;
    lookup->abandoned = true;
    lookup->client->lookups_abandoned++;
    uv_cancel(
        (uv_req_t *)&lookup->request); // helps while it is not begun; on_resolved comes anyway
}

void ctz_http_resolve_close(struct ctz_http *client)
{
    while (client->lookups) {
        struct http_lookup *lookup = client->lookups;
        client->lookups = lookup->next;
        lookup->client = NULL;
        if (lookup->running)
            uv_cancel((uv_req_t *)&lookup->request);
        else
            free_lookup(lookup);
    }
}
