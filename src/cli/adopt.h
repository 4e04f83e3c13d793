/* Keys that this TPM has made for other programs: from TSS2 PRIVATE KEY files, at persistent
 * handles, in the stores of tpm2-pkcs11. */
#ifndef CLI_ADOPT_H
#define CLI_ADOPT_H

#include "key_plan.h"
#include "object.h"

/* What its public area (TPM2B_PUBLIC) says it is; NULL: nothing that can be a key here. */
const struct key_kind *adopt_kind(struct bytes public);
/* The key, and its public half as an object of its own; what was made is added to made. source: for
 * the messages, as in "the key in FILE". */
CK_RV adopt_key(struct cli *cli, const struct key_plan *plan, LATCHKEY_TPM_KEY *key,
                const char *source, struct handles *made);
/* A TPM key's password: the file's first line; an empty file is an empty one. */
CK_RV adopt_password_file(const char *path, struct secret *ret);
CK_RV handles_add(struct handles *handles, CK_OBJECT_HANDLE handle);

/* `latchkey key import` of such a file, and with --handle. */
CK_RV adopt_file(struct cli *cli, struct bytes content, const char *path);
CK_RV adopt_persistent(struct cli *cli);

#endif
