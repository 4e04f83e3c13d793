/* The third kind of memory: PINs, authorizations, the token secret, unsealed keys.
 * Locked into RAM, left out of core dumps, gone in a forked child, wiped when freed. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "bytes.h"

struct secret {
    uint8_t *p;
    size_t n;
};

/* n zero bytes (n may be 0). CKR_HOST_MEMORY when memory is out. Free with secret_free. */
CK_RV secret_new(struct secret *ret, size_t n);
CK_RV secret_copy(struct secret *ret, struct bytes from);
/* Accepts an empty one; wipes, frees and empties. */
void secret_free(struct secret *s);
static inline struct bytes secret_bytes(const struct secret *s)
{
    return BYTES(s->p, s->n);
}
/* Constant time in the content; the lengths are public. */
bool secret_equal(struct bytes a, struct bytes b);
/* For memory that held a secret but is not of this type (a stack block, a library's buffer). */
void secret_wipe(void *p, size_t n);

/* Bytes in use in the locked arena: zero when everything was freed (tests look at this). */
size_t secret_in_use(void);
/* For pthread_atfork's handlers: hold the arena's lock over the fork. */
void secret_before_fork(void);
void secret_after_fork_parent(void);
void secret_after_fork_child(void);

#endif
