// handshake.c: the key that a WebSocket is asked for with, and the answer to it.
// SPDX-License-Identifier: MIT
// Source: RFC 6455, section 1.3.
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "bindings/kubernetes/websocket.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

int ws_key(char key[WS_KEY_BYTES], struct ctz_error *err)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return ctz_error_set(err, CTZ_ERROR_IO, "the system has no random bytes");
    EVP_EncodeBlock((unsigned char *)key, bytes, sizeof bytes);
    return 0;
}

int ws_accept(const char *key, char accept[WS_ACCEPT_BYTES], struct ctz_error *err)
{
    char text[WS_KEY_BYTES + sizeof guid] = "";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (strlen(key) != WS_KEY_BYTES - 1)
        return ctz_error_set(err, CTZ_ERROR_USAGE, "a key has %d characters", WS_KEY_BYTES - 1);
    strcat(strcpy(text, key), guid);
    if (EVP_Digest(text, strlen(text), digest, &size, EVP_sha1(), NULL) != 1)
        return ctz_error_set(err, CTZ_ERROR_IO, "SHA-1 cannot be computed here");
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)size);
    return 0;
}
