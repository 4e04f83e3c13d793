/* Where PINs and codes come from (options, a file, the terminal) and where generated ones go. */
#ifndef CLI_PIN_H
#define CLI_PIN_H

#include "cli.h"

enum pin_role { PIN_USER, PIN_SO, PIN_NEW };

/* The PIN from --pin-file, --pin-fd or --pin-env (--so-pin-…, --new-pin-…), the URI's pin-source,
 * or the terminal; there a fresh one is typed twice. A usage error when there is no terminal. */
CK_RV pin_read(struct cli *cli, enum pin_role role, bool fresh, struct secret *ret);
/* The first line of a file. what: for the messages. */
CK_RV pin_from_file(const char *path, const char *what, struct secret *ret);
/* A line typed on the terminal, unseen unless echo. option: what to give where there is none. */
CK_RV terminal_line(const char *prompt, bool echo, const char *option, struct secret *ret);
/* Asks for expected to be typed. TOLD(EXIT_FAILED) when something else was. */
CK_RV terminal_confirm(const char *prompt, const char *expected);

/* n random bytes as lower-case hexadecimal. */
CK_RV pin_generate(size_t n, struct secret *ret);

/* A PIN that only programs read: 155 random bits as 31 letters and digits, for libp11 (0.4.12), and
 * so OpenSSL's engine, reads no more of a pin-source. */
CK_RV pin_generate_unattended(struct secret *ret);
/* Makes a new file of mode 0600 with just these bytes (libp11's engine takes a newline in a
 * pin-source for a part of the PIN), and has it on disk before it returns. */
CK_RV pin_to_file(const char *path, struct bytes pin);

#endif
