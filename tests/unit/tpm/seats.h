/* Seats for the tests of src/tpm. */
#ifndef SEATS_H
#define SEATS_H

#include "tpm_test.h"

static const uint8_t pin[TPM_AUTH] = {'r', 'i', 'g', 'h', 't', 1, 2, 3, 4, [31] = 5};
static const uint8_t other_pin[TPM_AUTH] = {'o', 't', 'h', 'e', 'r', 1, 2, 3, 4, [31] = 5};
static const uint8_t wrong[TPM_AUTH] = {'w', 'r', 'o', 'n', 'g', 1, 2, 3, 4, [31] = 5};
static const uint8_t content[TPM_SECRET] = {0x5A, 0x11, 0xC3, 0x77, 0x0E, 9, 8, 7, [31] = 6};
static const uint8_t seed[48] = {3, 1, 4, 1, 5, 9, 2, 6, [47] = 5};

struct seat {
    struct tpm_seat_owned made;
};

static inline struct tpm_seat seat_of(const struct seat *s)
{
    return (struct tpm_seat){s->made.nv, buf_bytes(&s->made.name), buf_bytes(&s->made.pub),
                             buf_bytes(&s->made.priv)};
}

static inline void seat_define_at(struct seat *s, uint32_t nv, bool no_da, struct bytes auth)
{
    const struct tpm_parent parent = srk();
    *s = (struct seat){0};
    assert_ok(tpm_seat_define(fx.tpm, &parent, nv, no_da, auth, BYTES_OF(content), BYTES_OF(seed),
                              &s->made));
}

static inline void seat_define_with(struct seat *s, bool no_da, struct bytes auth)
{
    uint32_t nv;
    assert_ok(tpm_nv_pick(fx.tpm, &nv));
    seat_define_at(s, nv, no_da, auth);
}

static inline void seat_define(struct seat *s, bool no_da)
{
    seat_define_with(s, no_da, BYTES_OF(pin));
}

static inline void seat_seal(struct seat *s, bool no_da)
{
    const struct tpm_parent parent = srk();
    *s = (struct seat){0};
    assert_ok(tpm_seat_seal(fx.tpm, &parent, no_da, BYTES_OF(pin), BYTES_OF(content), &s->made));
}

static inline void seat_end(struct seat *s)
{
    if (s->made.nv)
        assert_ok(tpm_nv_undefine(fx.tpm, s->made.nv, buf_bytes(&s->made.name)));
    tpm_seat_free(&s->made);
}

/* Opening answers this; with CKR_OK it must be the seat's secret, else nothing at all. */
static inline void assert_opens(const struct seat *s, const uint8_t *auth, CK_RV expected)
{
    CLEANUP(secret_free) struct secret secret = {0};
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(s);
    assert_rv(expected, tpm_seat_open(fx.tpm, &parent, &seat, BYTES(auth, TPM_AUTH), &secret));
    if (expected == CKR_OK)
        assert_true(secret_equal(secret_bytes(&secret), BYTES_OF(content)));
    else
        assert_null(secret.p);
}

static inline enum tap_verdict refuse_to_persist(struct exchange *e)
{
    return e->code == TPM2_CC_EvictControl ? tap_answer(e, TPM2_RC_NV_SPACE) : TAP_PASS;
}

/* fx.srk is the parent of a TPM that keeps no persistent key. The true SRK's handle is hidden while
 * it is made. */
static inline enum tap_verdict hide_srk(struct exchange *e)
{
    if (e->code == TPM2_CC_ReadPublic)
        return tap_answer(e, 0x18B);
    return refuse_to_persist(e);
}

static inline void make_transient_parent(void)
{
    tap.before = hide_srk;
    assert_ok(tpm_find_parent(fx.tpm, &fx.srk));
    tap.before = NULL;
}

#endif
