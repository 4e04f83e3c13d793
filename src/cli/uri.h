/* Names of tokens and objects: a label, or a pkcs11: URI (RFC 7512). */
#ifndef CLI_URI_H
#define CLI_URI_H

#include "cli.h"
#include <p11-kit/uri.h>

enum uri_kind { URI_TOKEN, URI_OBJECT };

/* Text that does not begin with "pkcs11:" is a label. A URI that carries a PIN is refused.
 * Free with uri_free. */
CK_RV uri_parse(const char *text, enum uri_kind kind, P11KitUri **ret);
static inline void uri_free(P11KitUri **uri)
{
    p11_kit_uri_free(*uri);
}

/* "pkcs11:token=…;id=…;object=…;type=…" in buf, NUL-terminated. Empty id or label are left out, and
 * the class where it is CK_UNAVAILABLE_INFORMATION. A token without label goes by its serial. */
CK_RV uri_format(const struct cli *cli, CK_OBJECT_CLASS cls, struct bytes id, struct bytes label,
                 struct buf *ret);
CK_RV uri_of_token(const CK_TOKEN_INFO *info, struct buf *ret);

#endif
