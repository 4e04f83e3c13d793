/* The vendor interface's function list (latchkey/admin.h). */
#ifndef PKCS11_ADMIN_H
#define PKCS11_ADMIN_H

#include <latchkey/admin.h>

extern LATCHKEY_ADMIN admin_list;

#endif
