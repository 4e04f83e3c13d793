#include "families.h"

#include <string.h>

/* Ed25519 and Ed448 (3.0, 2.3.14): keys that no TPM has. */

enum { CONTEXT_MAX = 255 }; /* RFC 8032, 5.1, 5.2 */

CK_RV eddsa_params(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                   struct mech_params *ret)
{
    if (!in->ulParameterLen) /* pure Ed25519 or Ed448 */
        return params_none(m, in, key, ret);
    READ_PARAM(CK_EDDSA_PARAMS, p, in);
    if (p.ulContextDataLen > CONTEXT_MAX || (p.ulContextDataLen && !p.pContextData))
        return CKR_MECHANISM_PARAM_INVALID;
    ret->flagged = true;
    ret->prehash = p.phFlag != CK_FALSE;
    return buf_set(&ret->label, BYTES(p.pContextData, p.ulContextDataLen));
}

/* NULL is Ed25519 or Ed448 itself, which an empty context and no flag mean, too: Ed25519ctx wants
 * one that is not empty (RFC 8032, 8.6). */
static const struct soft_eddsa *form_of(const struct mech_params *p, struct soft_eddsa *room)
{
    if (!p->flagged || (!p->prehash && !p->label.n))
        return NULL;
    *room = (struct soft_eddsa){p->prehash, buf_bytes(&p->label)};
    return room;
}

CK_RV eddsa_sign(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    struct soft_eddsa room;
    return soft_private_eddsa(call->key->private_, form_of(call->params, &room), in, ret);
}

CK_RV eddsa_verify(const struct mech_call *call, struct bytes in, struct bytes signature)
{
    struct soft_eddsa room;
    return soft_eddsa_verify(call->key->public_, form_of(call->params, &room), in, signature);
}
