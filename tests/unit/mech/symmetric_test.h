/* What the tests of the symmetric families share: each key twice, in software and in the TPM, and
 * operations in chunks of any size. */
#ifndef SYMMETRIC_TEST_H
#define SYMMETRIC_TEST_H

#include "mech_test.h"

enum where { IN_SOFTWARE, IN_TPM, PLACES };

struct sym_key {
    uint8_t value[64];
    size_t n;
    bool in_tpm; /* a TPM has no AES-192 */
    struct pair pair;
    struct mech_key place[PLACES];
};

static inline void sym_key_use(struct sym_key *k, CK_KEY_TYPE type)
{
    pair_key(&k->pair);
    k->place[IN_SOFTWARE] = (struct mech_key){.type = type, .value = BYTES(k->value, k->n)};
    k->place[IN_TPM] = (struct mech_key){.type = type, .tpm_key = &k->pair.key};
}

static inline void aes_key(struct sym_key *k, struct bytes value)
{
    const struct tpm_parent parent = srk();
    *k = (struct sym_key){.n = value.n, .in_tpm = value.n != 24};
    memcpy(k->value, value.p, value.n);
    fill(k->pair.auth, sizeof(k->pair.auth), (uint32_t)value.n);
    if (k->in_tpm)
        assert_ok(tpm_make_aes(fx.tpm, &parent, BYTES_OF(k->pair.auth), (unsigned)(8 * value.n),
                               value, &k->pair.made));
    sym_key_use(k, CKK_AES);
}

static inline void sym_key_free(struct sym_key *k)
{
    pair_free(&k->pair);
}

#define FOR_EACH_PLACE(w, k)                                                                       \
    for (enum where w = IN_SOFTWARE; w < PLACES; w++)                                              \
        if (w == IN_SOFTWARE || (k)->in_tpm)

struct hex {
    uint8_t p[256];
    size_t n;
};
#define HEX_BYTES(h) BYTES((h).p, (h).n)

static inline struct hex unhex(const char *text)
{
    struct hex h = {.n = strlen(text) / 2};
    assert_true(h.n <= sizeof(h.p));
    for (size_t i = 0; i < h.n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        h.p[i] = (uint8_t)byte;
    }
    return h;
}

/* Random numbers that are the same in every run. */
static inline uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* ---- operations ---------------------------------------------------------------------------- */

struct operation {
    struct mech_params params;
    struct mech_call call;
    struct mech_stream stream;
};

static inline void operation_begin(struct operation *o, CK_MECHANISM_TYPE type,
                                   const struct mech_key *key, const void *parameter, size_t n)
{
    *o = (struct operation){0};
    assert_taken(row(type), key, parameter, n, &o->params);
    o->call =
        (struct mech_call){.mech = row(type), .params = &o->params, .key = key, .tpm = fx.tpm};
}

static inline void operation_end(struct operation *o)
{
    mech_stream_free(&o->stream);
    mech_params_free(&o->params);
}

static inline void assert_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], 0);
}

/* Chunks of random sizes, whole blocks and KiB among them; 0: all at once. */
static inline size_t chunk_size(uint32_t *seed, size_t left)
{
    static const size_t liked[] = {1, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025, 1040};
    size_t some = !*seed               ? left
                  : draw(seed, 2) == 0 ? liked[draw(seed, COUNT(liked))]
                                       : draw(seed, 2000);
    return some < left ? some : left;
}

/* One cipher operation in chunks; each output is as long as most() says, in place and not; final is
 * called twice. The answer is final's; the output goes to ret, which has room for n + 64 bytes. */
enum { WAITS = 1024 }; /* what may wait for a whole TPM command */

static inline CK_RV run_cipher(struct operation *o, bool encrypt, struct bytes in, uint32_t seed,
                               uint8_t *ret, size_t *ret_n)
{
    const struct mech_cipher *c = o->call.mech->cipher;
    static uint8_t buffer[1 << 16];
    uint8_t last[1 << 14], again[1 << 14];
    size_t at = 0, n, n_again;
    mech_stream_free(&o->stream);
    o->stream = (struct mech_stream){.encrypt = encrypt};
    assert_ok(c->start(&o->call, &o->stream));
    o->stream.gather |= draw(&seed, 2); /* allowed everywhere */
    bool exact = c->exact(&o->stream);
    size_t promised = c->most(&o->call, &o->stream, in.n, true);
    *ret_n = 0;
    while (at < in.n) {
        size_t some = chunk_size(&seed, in.n - at);
        size_t most = c->most(&o->call, &o->stream, some, false);
        bool in_place = draw(&seed, 2);
        assert_true(some + WAITS <= sizeof(buffer) && most <= some + WAITS);
        memset(buffer, 0, some + WAITS);
        uint8_t *out = in_place ? buffer : ret + *ret_n;
        if (in_place)
            memcpy(buffer, in.p + at, some);
        CK_RV rv =
            c->update(&o->call, &o->stream, BYTES(in_place ? buffer : in.p + at, some), out, &n);
        if (rv != CKR_OK)
            return rv;
        assert_int_equal(n, most);
        if (in_place)
            memcpy(ret + *ret_n, buffer, n);
        *ret_n += n;
        at += some;
    }
    size_t most = c->most(&o->call, &o->stream, 0, true);
    assert_true(most <= sizeof(last));
    memset(last, 0, most);
    CK_RV rv = c->final(&o->call, &o->stream, last, &n);
    assert_rv(rv, c->final(&o->call, &o->stream, again, &n_again));
    if (rv != CKR_OK) {
        assert_zero(last, most); /* nothing of what is not genuine comes out */
        return rv;
    }
    assert_int_equal(n, n_again);
    assert_memory_equal(last, again, n);
    assert_true(exact ? n == most : n <= most);
    memcpy(ret + *ret_n, last, n);
    *ret_n += n;
    assert_true(exact ? *ret_n == promised : *ret_n <= promised);
    return CKR_OK;
}

static inline void assert_cipher(struct operation *o, bool encrypt, struct bytes in, uint32_t seed,
                                 struct bytes expected)
{
    static uint8_t out[1 << 16];
    size_t n;
    assert_true(in.n + 64 <= sizeof(out));
    assert_ok(run_cipher(o, encrypt, in, seed, out, &n));
    assert_int_equal(n, expected.n);
    assert_memory_equal(out, expected.p, n);
}

static inline void assert_cipher_fails(struct operation *o, CK_RV rv, bool encrypt, struct bytes in,
                                       uint32_t seed)
{
    static uint8_t out[1 << 16];
    size_t n;
    assert_true(in.n + 64 <= sizeof(out));
    assert_rv(rv, run_cipher(o, encrypt, in, seed, out, &n));
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static inline size_t evp_cipher(const char *mode, bool padding, bool encrypt, struct bytes key,
                                const uint8_t *iv, struct bytes in, uint8_t *ret)
{
    char name[24];
    int n, more;
    snprintf(name, sizeof(name), "AES-%zu-%s", 8 * key.n, mode);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_non_null(cipher);
    assert_int_equal(EVP_CipherInit_ex2(ctx, cipher, key.p, iv, encrypt, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_set_padding(ctx, padding), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, ret, &n, in.p, (int)in.n), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, ret + n, &more), 1);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return (size_t)(n + more);
}

#endif
