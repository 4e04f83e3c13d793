#include "admin.h"
#include "entry.h"

/* The function lists, the interfaces, and the three symbols that leave this library. */

static void pad(CK_UTF8CHAR *out, size_t n, const char *text)
{
    memset(out, ' ', n);
    memcpy(out, text, strlen(text)); /* NOLINT(bugprone-not-null-terminated-result): padded */
}

/* Each list says the version it is of: a client of 2.40 is not told 3.2. */
static CK_RV get_info(CK_INFO *info, CK_BYTE major, CK_BYTE minor)
{
    LIBRARY(lib);
    if (!info)
        return CKR_ARGUMENTS_BAD;
    *info = (CK_INFO){.cryptokiVersion = {major, minor},
                      .libraryVersion = {LATCHKEY_VERSION_MAJOR, LATCHKEY_VERSION_MINOR}};
    pad(info->manufacturerID, sizeof(info->manufacturerID), "latchkey");
    pad(info->libraryDescription, sizeof(info->libraryDescription), "PKCS#11 token inside the TPM");
    return CKR_OK;
}

static CK_RV get_info_2_40(CK_INFO *info)
{
    return entry_trace("C_GetInfo", get_info(info, 2, 40));
}

static CK_RV get_info_3_0(CK_INFO *info)
{
    return entry_trace("C_GetInfo", get_info(info, 3, 0));
}

static CK_RV get_info_3_2(CK_INFO *info)
{
    return entry_trace("C_GetInfo", get_info(info, 3, 2));
}

/* Not const: Cryptoki's type for them is not, though nobody writes. */
/* clang-format off */
#define MEMBER(name) .name = name,
#define GET_INFO(function) .C_GetInfo = function,
static CK_FUNCTION_LIST list_2_40 = {
    .version = {2, 40},
    LATCHKEY_FUNCTIONS_2_40(MEMBER, GET_INFO(get_info_2_40))
};
static CK_FUNCTION_LIST_3_0 list_3_0 = {
    .version = {3, 0},
    LATCHKEY_FUNCTIONS_2_40(MEMBER, GET_INFO(get_info_3_0))
    LATCHKEY_FUNCTIONS_3_0(MEMBER)
};
static CK_FUNCTION_LIST_3_2 list_3_2 = {
    .version = {3, 2},
    LATCHKEY_FUNCTIONS_2_40(MEMBER, GET_INFO(get_info_3_2))
    LATCHKEY_FUNCTIONS_3_0(MEMBER)
    LATCHKEY_FUNCTIONS_3_2(MEMBER)
};
/* clang-format on */

static CK_UTF8CHAR standard[] = "PKCS 11", vendor[] = LATCHKEY_INTERFACE;
#define NAME(text) (void *)(text) /* a char * in p11-kit 0.25 */

/* The default first: the newest. No flags: after a fork a child starts anew (ARCHITECTURE.md). */
static CK_INTERFACE interfaces[] = {
    {NAME(standard), &list_3_2, 0},
    {NAME(standard), &list_3_0, 0},
    {NAME(standard), &list_2_40, 0},
    {NAME(vendor), &admin_list, 0},
};
enum { INTERFACES = sizeof(interfaces) / sizeof(*interfaces) };

#define EXPORT __attribute__((visibility("default")))

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    if (!list)
        return CKR_ARGUMENTS_BAD;
    *list = &list_2_40;
    return CKR_OK;
}

EXPORT CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count)
{
    if (!count)
        return CKR_ARGUMENTS_BAD;
    bool fits = list && *count >= INTERFACES;
    *count = INTERFACES;
    if (fits)
        memcpy(list, interfaces, sizeof(interfaces));
    return fits || !list ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

/* Every list begins with its version. */
static bool answers(const CK_INTERFACE *i, const CK_UTF8CHAR *name, const CK_VERSION *version,
                    CK_FLAGS flags)
{
    const CK_VERSION *has = i->pFunctionList;
    return (!name || strcmp((const char *)name, (const char *)i->pInterfaceName) == 0) &&
           (!version || (version->major == has->major && version->minor == has->minor)) &&
           (i->flags & flags) == flags;
}

/* 3.0, 5.4.6: NULLs mean "whichever". It lists what none that fits may be answered with, not which:
 * NSS and Kryoptic take the arguments for bad. */
EXPORT CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **ret,
                            CK_FLAGS flags)
{
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    for (size_t i = 0; i < INTERFACES; i++)
        if (answers(&interfaces[i], name, version, flags)) {
            *ret = &interfaces[i];
            return CKR_OK;
        }
    return CKR_ARGUMENTS_BAD;
}
