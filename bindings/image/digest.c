// digest.c: a running SHA-256, over OpenSSL's EVP.
// SPDX-License-Identifier: MIT
#include "bindings/image/image.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define PREFIX "sha256:"

int ctz_digest_init(struct ctz_digest *digest, struct ctz_error *err)
{
    // OpenSSL 3.0 crashes in the look-up when its own start ran out of memory.
    bool started =
        OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) && OSSL_LIB_CTX_get0_global_default();
    EVP_MD *algorithm = started ? EVP_MD_fetch(NULL, "SHA256", NULL) : NULL;
    digest->context = EVP_MD_CTX_new();
    bool ready =
        algorithm && digest->context && EVP_DigestInit_ex(digest->context, algorithm, NULL);
    EVP_MD_free(algorithm); // the context holds a reference of its own
    if (ready)
        return 0;
    ctz_digest_clear(digest);
    return ctz_error_set(err, CTZ_ERROR_IO, "OpenSSL offers no SHA-256, or is out of memory");
}

int ctz_digest_update(struct ctz_digest *digest, const void *bytes, size_t size,
                      struct ctz_error *err)
{
    if (EVP_DigestUpdate(digest->context, bytes, size))
        return 0;
    return ctz_error_set(err, CTZ_ERROR_INTERNAL, "OpenSSL cannot hash");
}

int ctz_digest_final(struct ctz_digest *digest, char text[CTZ_DIGEST_BYTES], struct ctz_error *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size;
    if (!EVP_DigestFinal_ex(digest->context, bytes, &size))
        return ctz_error_set(err, CTZ_ERROR_INTERNAL, "OpenSSL cannot hash");
    memcpy(text, PREFIX, sizeof PREFIX);
    char *out = text + sizeof PREFIX - 1;
    for (unsigned i = 0; i < size; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
    return 0;
}

void ctz_digest_clear(struct ctz_digest *digest)
{
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
    OPENSSL_thread_stop(); // frees what the look-up left for this thread of the pool
}

bool ctz_digest_is_valid(const char *text)
{
    if (strncmp(text, PREFIX, sizeof PREFIX - 1) != 0)
        return false;
    const char *hex = text + sizeof PREFIX - 1;
    size_t length = strspn(hex, "0123456789abcdef");
    return length == CTZ_DIGEST_BYTES - sizeof PREFIX && hex[length] == '\0';
}
