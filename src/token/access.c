#include "internal.h"

/* 2.40 base specification, table 6: access to different types of objects by different types of
 * sessions. */

enum right { NO, RO, RW };

static const struct {
    CK_STATE state;
    enum right session_public, session_private, token_public, token_private;
} matrix[] = {
    {CKS_RO_PUBLIC_SESSION, RW, NO, RO, NO}, {CKS_RW_PUBLIC_SESSION, RW, NO, RW, NO},
    {CKS_RO_USER_FUNCTIONS, RW, RW, RO, RO}, {CKS_RW_USER_FUNCTIONS, RW, RW, RW, RW},
    {CKS_RW_SO_FUNCTIONS, RW, NO, RW, NO},
};

CK_STATE session_state(const struct session *s)
{
    switch (s->token->login) {
    case LOGIN_USER:
        return s->rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    case LOGIN_SO:
        return CKS_RW_SO_FUNCTIONS; /* C_Login and C_OpenSession see to it that all are R/W */
    case LOGIN_NONE:
        break;
    }
    return s->rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
}

static enum right right_of(const struct session *s, bool token_object, bool private_)
{
    CK_STATE state = session_state(s);
    for (size_t i = 0; i < sizeof(matrix) / sizeof(*matrix); i++)
        if (matrix[i].state == state)
            return token_object ? (private_ ? matrix[i].token_private : matrix[i].token_public)
                                : (private_ ? matrix[i].session_private : matrix[i].session_public);
    return NO;
}

CK_RV access_read(const struct session *s, bool private_)
{
    return right_of(s, true, private_) == NO ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

CK_RV access_write(const struct session *s, bool token_object, bool private_)
{
    switch (right_of(s, token_object, private_)) {
    case RW:
        return CKR_OK;
    case RO:
        return CKR_SESSION_READ_ONLY;
    case NO:
        break;
    }
    return CKR_USER_NOT_LOGGED_IN;
}
