// digest.c: a running SHA-256 or SHA-512, over OpenSSL's EVP.
// SPDX-License-Identifier: MIT
#include "bindings/image/image.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define SHA256       "sha256:"
#define SHA512       "sha512:"
#define PREFIX_BYTES (sizeof SHA256 - 1)
#define SHA512_BYTES 64

static bool is_sha512(const char *digest)
{
    return digest && strncmp(digest, SHA512, PREFIX_BYTES) == 0;
}

int ctz_digest_init(struct ctz_digest *digest, struct ctz_error *err)
{
    return ctz_digest_init_as(digest, NULL, err);
}

int ctz_digest_init_as(struct ctz_digest *digest, const char *wanted, struct ctz_error *err)
{
    const char *name = is_sha512(wanted) ? "SHA512" : "SHA256";
    // OpenSSL 3.0 crashes in the look-up when its own start ran out of memory.
    bool started =
        OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) && OSSL_LIB_CTX_get0_global_default();
    EVP_MD *algorithm = started ? EVP_MD_fetch(NULL, name, NULL) : NULL;
    digest->context = EVP_MD_CTX_new();
    bool ready =
        algorithm && digest->context && EVP_DigestInit_ex(digest->context, algorithm, NULL);
    EVP_MD_free(algorithm); // the context holds a reference of its own
    if (ready)
        return 0;
    ctz_digest_clear(digest);
    return ctz_error_set(err, CTZ_ERROR_IO, "OpenSSL offers no %s, or is out of memory", name);
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
    memcpy(text, size == SHA512_BYTES ? SHA512 : SHA256, PREFIX_BYTES);
    char *out = text + PREFIX_BYTES;
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
    if (strncmp(text, SHA256, PREFIX_BYTES) != 0 && !is_sha512(text))
        return false;
    const char *hex = text + PREFIX_BYTES;
    size_t length = strspn(hex, "0123456789abcdef");
    return length == (is_sha512(text) ? 128 : 64) && hex[length] == '\0';
}
