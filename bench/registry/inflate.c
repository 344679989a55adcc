// inflate.c FILE...: inflates each file of gzip in a thread of its own, with SHA-256 of what comes
// out, and nothing else: what reading the layers of an image costs at least.
// SPDX-License-Identifier: MIT
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES 262144

static void *run(void *path)
{
    static _Thread_local unsigned char in[PIECE_BYTES], out[PIECE_BYTES], digest[EVP_MAX_MD_SIZE];
    struct inflate_state *state = malloc(sizeof *state);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    FILE *file = fopen(path, "rb");
    if (!state || !hash || !file || !EVP_DigestInit(hash, EVP_sha256()))
        exit(1);
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    do {
        if (state->avail_in == 0) {
            state->next_in = in;
            state->avail_in = (uint32_t)fread(in, 1, sizeof in, file);
        }
        state->next_out = out;
        state->avail_out = sizeof out;
        if (isal_inflate(state) != ISAL_DECOMP_OK ||
            !EVP_DigestUpdate(hash, out, sizeof out - state->avail_out))
            exit(1);
    } while (state->block_state != ISAL_BLOCK_FINISH);
    EVP_DigestFinal(hash, digest, NULL);
    return NULL;
}

int main(int count, char **files)
{
    pthread_t threads[64];
    for (int i = 1; i < count && i < 64; i++)
        if (pthread_create(&threads[i], NULL, run, files[i]))
            return 1;
    for (int i = 1; i < count && i < 64; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
