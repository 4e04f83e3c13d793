/* Seats behind a limit, for the tests of src/tpm. */
#ifndef LIMITS_H
#define LIMITS_H

#include "seats.h"

struct limited {
    struct seat seat;
    struct tpm_limit_owned made;
    struct tpm_limit limit;
};

static inline void limit_define(struct limited *l, uint32_t tries)
{
    uint32_t nv[TPM_LIMIT_INDICES];
    uint8_t nobodys[TPM_AUTH];
    const struct tpm_parent parent = srk();
    *l = (struct limited){0};
    fill(nobodys, sizeof(nobodys), 77);
    seat_define_with(&l->seat, false, BYTES_OF(nobodys));
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        assert_ok(tpm_nv_pick(fx.tpm, &nv[i]));
    assert_ok(tpm_limit_define(fx.tpm, &parent, nv, BYTES_OF(seed), &l->made));
    l->limit.tries = tries;
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        l->limit.index[i] = (struct tpm_index){l->made.nv[i], buf_bytes(&l->made.name[i])};
}

static inline CK_RV limit_change(struct limited *l, const uint8_t *auth)
{
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&l->seat);
    return tpm_limit_change(fx.tpm, &parent, &seat, &l->limit, BYTES_OF(seed),
                            BYTES(auth, TPM_AUTH));
}

enum { TRIES = 3 };

static inline void limit_start(struct limited *l)
{
    limit_define(l, TRIES);
    assert_ok(limit_change(l, pin));
}

static inline void limit_end(struct limited *l)
{
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        assert_ok(tpm_nv_undefine(fx.tpm, l->made.nv[i], buf_bytes(&l->made.name[i])));
    tpm_limit_free(&l->made);
    seat_end(&l->seat);
}

static inline CK_RV opens(struct limited *l, const uint8_t *auth, bool *unsettled)
{
    CLEANUP(secret_free) struct secret secret = {0};
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&l->seat);
    CK_RV rv = tpm_limit_open(fx.tpm, &parent, &seat, &l->limit, BYTES(auth, TPM_AUTH), unsettled,
                              &secret);
    if (rv == CKR_OK)
        assert_true(secret_equal(secret_bytes(&secret), BYTES_OF(content)));
    else
        assert_null(secret.p);
    return rv;
}

static inline void assert_limit_opens(struct limited *l, const uint8_t *auth, CK_RV expected)
{
    bool unsettled = false;
    assert_rv(expected, opens(l, auth, &unsettled));
    assert_false(unsettled);
}

#endif
