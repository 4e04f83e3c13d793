/* What the verbs about keys and certificates share. */
#ifndef CLI_KEY_LINES_H
#define CLI_KEY_LINES_H

#include "object.h"

/* The lines to paste for those of nginx, OpenSSL and ssh that can use this key. */
CK_RV key_lines_print(struct cli *cli, const struct object *key);
/* Label, ID, type and URI of a key that was made just now. */
CK_RV key_report(struct cli *cli, const struct object *key);
/* Hexadecimal, with or without ':' between the bytes. */
CK_RV key_id_parse(const char *hex, uint8_t *out, size_t room, size_t *ret_n);

#endif
