#include "admin.h"
#include "entry.h"

/* The function lists, the interfaces, and the three symbols that leave this library. */

/* clang-format off */
/* The 68 functions of 2.40, in the order of the list (pkcs11f.h). */
#define FUNCTIONS_2_40(F) \
    F(C_Initialize) F(C_Finalize) F(C_GetFunctionList) F(C_GetSlotList) F(C_GetSlotInfo) \
    F(C_GetTokenInfo) F(C_GetMechanismList) F(C_GetMechanismInfo) F(C_InitToken) F(C_InitPIN) \
    F(C_SetPIN) F(C_OpenSession) F(C_CloseSession) F(C_CloseAllSessions) F(C_GetSessionInfo) \
    F(C_GetOperationState) F(C_SetOperationState) F(C_Login) F(C_Logout) F(C_CreateObject) \
    F(C_CopyObject) F(C_DestroyObject) F(C_GetObjectSize) F(C_GetAttributeValue) \
    F(C_SetAttributeValue) F(C_FindObjectsInit) F(C_FindObjects) F(C_FindObjectsFinal) \
    F(C_EncryptInit) F(C_Encrypt) F(C_EncryptUpdate) F(C_EncryptFinal) F(C_DecryptInit) \
    F(C_Decrypt) F(C_DecryptUpdate) F(C_DecryptFinal) F(C_DigestInit) F(C_Digest) \
    F(C_DigestUpdate) F(C_DigestKey) F(C_DigestFinal) F(C_SignInit) F(C_Sign) F(C_SignUpdate) \
    F(C_SignFinal) F(C_SignRecoverInit) F(C_SignRecover) F(C_VerifyInit) F(C_Verify) \
    F(C_VerifyUpdate) F(C_VerifyFinal) F(C_VerifyRecoverInit) F(C_VerifyRecover) \
    F(C_DigestEncryptUpdate) F(C_DecryptDigestUpdate) F(C_SignEncryptUpdate) \
    F(C_DecryptVerifyUpdate) F(C_GenerateKey) F(C_GenerateKeyPair) F(C_WrapKey) F(C_UnwrapKey) \
    F(C_DeriveKey) F(C_SeedRandom) F(C_GenerateRandom) F(C_GetFunctionStatus) \
    F(C_CancelFunction) F(C_WaitForSlotEvent)

/* What 3.0 adds. */
#define FUNCTIONS_3_0(F) \
    F(C_GetInterfaceList) F(C_GetInterface) F(C_LoginUser) F(C_SessionCancel) \
    F(C_MessageEncryptInit) F(C_EncryptMessage) F(C_EncryptMessageBegin) F(C_EncryptMessageNext) \
    F(C_MessageEncryptFinal) F(C_MessageDecryptInit) F(C_DecryptMessage) \
    F(C_DecryptMessageBegin) F(C_DecryptMessageNext) F(C_MessageDecryptFinal) \
    F(C_MessageSignInit) F(C_SignMessage) F(C_SignMessageBegin) F(C_SignMessageNext) \
    F(C_MessageSignFinal) F(C_MessageVerifyInit) F(C_VerifyMessage) F(C_VerifyMessageBegin) \
    F(C_VerifyMessageNext) F(C_MessageVerifyFinal)
/* clang-format on */

static void pad(CK_UTF8CHAR *out, size_t n, const char *text)
{
    memset(out, ' ', n);
    memcpy(out, text, strlen(text));
}

/* Each list says the version it is of: a client of 2.40 is not told 3.0. */
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

/* Not const: Cryptoki's type for them is not, though nobody writes. */
#define MEMBER(name) .name = name,
static CK_FUNCTION_LIST list_2_40 = {
    .version = {2, 40}, .C_GetInfo = get_info_2_40, FUNCTIONS_2_40(MEMBER)};
static CK_FUNCTION_LIST_3_0 list_3_0 = {
    .version = {3, 0}, .C_GetInfo = get_info_3_0, FUNCTIONS_2_40(MEMBER) FUNCTIONS_3_0(MEMBER)};

static CK_UTF8CHAR standard[] = "PKCS 11", vendor[] = LATCHKEY_INTERFACE;

/* The default first. No flags: after a fork a child starts anew (ARCHITECTURE.md). */
static CK_INTERFACE interfaces[] = {
    {standard, &list_3_0, 0},
    {standard, &list_2_40, 0},
    {vendor, &admin_list, 0},
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

/* 3.0, 5.4.6: NULLs mean "whichever"; none that fits is CKR_FUNCTION_FAILED. */
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
    return CKR_FUNCTION_FAILED;
}
