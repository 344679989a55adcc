// secrets.c: values that never print.
// SPDX-License-Identifier: MIT
#include "host/secrets.h"

#include "host/host.h"

int ctz_secret_add(struct ctz_host *host, const char *value, size_t size)
{
    (void)host, (void)value, (void)size;
    return 0;
}

bool ctz_secrets_mask(struct ctz_host *host, const char *bytes, size_t size, struct ctz_buffer *out)
{
    (void)host, (void)bytes, (void)size, (void)out;
    return false;
}

void ctz_secrets_free(struct ctz_host *host)
{
    host->secrets = NULL;
}
