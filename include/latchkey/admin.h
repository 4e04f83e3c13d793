/* What the `latchkey` command asks of the module beyond PKCS#11: the vendor interface, found by
 * C_GetInterface("Vendor latchkey", NULL, &interface, 0). C_Initialize must have been called.
 * Every function is thread-safe and answers a CK_RV; strings are UTF-8 and NUL-terminated. */
#ifndef LATCHKEY_ADMIN_H
#define LATCHKEY_ADMIN_H

#include <latchkey/cryptoki.h>

#define LATCHKEY_INTERFACE "Vendor latchkey"

/* The TPM and its dictionary-attack state (TPM 2.0 part 1, 19.8). Times are seconds. */
typedef struct LATCHKEY_TPM_STATUS {
    char tcti[256];       /* how it is reached */
    char manufacturer[8]; /* e.g. "IBM", "IFX" */
    char vendor[32];      /* vendor string, e.g. "SW   TPM" */
    char spec[32];        /* e.g. "2.0 rev 1.64" */
    CK_ULONG firmwareMajor, firmwareMinor;
    CK_BBOOL resourceManager; /* behind /dev/tpmrm0 or tpm2-abrmd */
    CK_BBOOL simulator;       /* a software TPM: it protects nothing */
    CK_BBOOL inLockout;
    CK_BBOOL lockoutAuthSet;  /* false: anybody can reset the counter; see SECURITY.md */
    CK_ULONG lockoutCounter;  /* failed tries so far */
    CK_ULONG maxTries;        /* tries before lockout */
    CK_ULONG recoveryTime;    /* one failed try is forgiven after so long (lockoutInterval) */
    CK_ULONG lockoutRecovery; /* after a wrong lockoutAuth it can be tried again after so long */
    CK_ULONG srkHandle;       /* 0: none persistent */
    char srkName[140];        /* hexadecimal; empty when unknown */
    CK_ULONG nvIndices;       /* NV indices defined in all */
} LATCHKEY_TPM_STATUS;

/* What the store says of one token; needs no login and no TPM. */
typedef struct LATCHKEY_TOKEN_STATUS {
    char store[4096];    /* path of the store's directory */
    CK_BBOOL sealed;     /* PINs in sealed objects (old PINs live on in old store copies), not NV */
    CK_BBOOL unattended; /* user index outside dictionary-attack protection */
    CK_BBOOL writable;   /* this process can write the store */
    CK_ULONG pinRounds;  /* PBKDF2 rounds */
    CK_ULONG userIndex, soIndex; /* NV handles; 0 when sealed */
    CK_ULONG parent;             /* SRK handle the keys hang on; 0: a transient primary */
    CK_ULONG objects;            /* objects in the store, private ones included */
} LATCHKEY_TOKEN_STATUS;

#define LATCHKEY_FINDING_OK      0
#define LATCHKEY_FINDING_NOTE    1 /* worth knowing, nothing is wrong */
#define LATCHKEY_FINDING_WARNING 2 /* works, but less safe or about to break */
#define LATCHKEY_FINDING_PROBLEM 3 /* does not work until mended */

/* One finding of Doctor. id is a stable short name ("tpm", "lockout-auth", "nv-orphan", …); text
 * says what is; remedy is a command or an action, NULL when none is due. Borrowed for the call. */
typedef void (*LATCHKEY_FINDING)(void *context, CK_ULONG level, const char *id, const char *text,
                                 const char *remedy);

#define LATCHKEY_SEALED_MAX 128  /* bytes of a sealed data object (TPM 2.0 part 2, MAX_SYM_DATA) */
#define LATCHKEY_BLOB_MAX   2048 /* bytes of a TPM2B_PUBLIC, of a TPM2B_PRIVATE */

/* A key, or a sealed data object, that another program had this TPM make: wrapped for its parent,
 * or made persistent. All are in the TPM's own form (TPM2B_PUBLIC, TPM2B_PRIVATE). */
typedef struct LATCHKEY_TPM_KEY {
    CK_ULONG
    handle; /* of the persistent key; then parent, pPublic and pPrivate are not looked at */
    CK_ULONG
    parent; /* persistent handle of its parent; 0x40000001: a primary of the owner hierarchy */
    CK_BYTE_PTR pPublic;
    CK_ULONG ulPublicLen;
    CK_BYTE_PTR pPrivate;
    CK_ULONG ulPrivateLen;
    CK_BYTE_PTR pAuth; /* its authorization */
    CK_ULONG ulAuthLen;
    CK_ULONG ulValueLen; /* bytes of an HMAC key that no TPM made: nothing tells them */
} LATCHKEY_TPM_KEY;

typedef struct LATCHKEY_ADMIN {
    CK_VERSION version; /* 1.1: PinTries, KeyAdopt, ForeignUnseal; 1.2: KeyRelease */

    /* Deletes a token: its objects, its row, its NV indices. pSoPin proves the right; with force it
     * may be NULL (the keys are lost either way). CKR_PIN_INCORRECT, CKR_PIN_LOCKED,
     * CKR_SLOT_ID_INVALID, CKR_SESSION_EXISTS. */
    CK_RV(*TokenDestroy)
    (CK_SLOT_ID slot, CK_UTF8CHAR_PTR pSoPin, CK_ULONG ulSoPinLen, CK_BBOOL force);
    CK_RV (*TokenStatus)(CK_SLOT_ID slot, LATCHKEY_TOKEN_STATUS *pStatus);
    CK_RV (*TpmStatus)(LATCHKEY_TPM_STATUS *pStatus);

    /* Sets the lockoutAuth from pCode (any bytes; hashed to 32), proves it by using it, then sets
     * the dictionary-attack parameters with it. pOldCode is the present recovery code, NULL (0)
     * when lockoutAuth is empty. CKR_PIN_INCORRECT when the present one is another. */
    CK_RV(*TpmHarden)
    (CK_UTF8CHAR_PTR pOldCode, CK_ULONG ulOldCodeLen, CK_UTF8CHAR_PTR pCode, CK_ULONG ulCodeLen,
     CK_ULONG ulMaxTries, CK_ULONG ulRecoveryTime, CK_ULONG ulLockoutRecovery);
    /* TPM2_DictionaryAttackLockReset with that code (NULL: the empty lockoutAuth).
     * CKR_PIN_INCORRECT: a wrong code; the TPM then refuses every code for lockoutRecovery. */
    CK_RV (*TpmUnlock)(CK_UTF8CHAR_PTR pCode, CK_ULONG ulCodeLen);

    /* Examines config, store, TPM, tokens; calls back once a finding, in order. Changes nothing,
     * burns no try. */
    CK_RV (*Doctor)(LATCHKEY_FINDING callback, void *context);

    /* Undefines one NV index in latchkey's range 0x01800000–0x01BFFFFF that no token of this store
     * names. CKR_ARGUMENTS_BAD for any other handle. */
    CK_RV (*NvRemove)(CK_ULONG handle);

    /* Since 1.1. The token's own limit of user PIN tries: *pMax 0 when it has none; *pLeft how many
     * are left, CK_UNAVAILABLE_INFORMATION while there is no user PIN, or when the TPM does not
     * tell. */
    CK_RV (*PinTries)(CK_SLOT_ID slot, CK_ULONG *pMax, CK_ULONG *pLeft);
    /* Takes the key into the token (user logged in): the same key, under an authorization of the
     * token's own; the other program's copy stays as it is. pTemplate as C_UnwrapKey's; class and
     * key type may be left out. CKR_PIN_INCORRECT, CKR_PIN_LOCKED: the authorization is wrong, is
     * locked; CKR_TOKEN_NOT_RECOGNIZED: no parent in this TPM opens it;
     * CKR_KEY_FUNCTION_NOT_PERMITTED: a kind of key that cannot be used (the log says why). */
    CK_RV(*KeyAdopt)
    (CK_SESSION_HANDLE hSession, LATCHKEY_TPM_KEY *pKey, CK_ATTRIBUTE_PTR pTemplate,
     CK_ULONG ulCount, CK_OBJECT_HANDLE_PTR phKey);
    /* TPM2_Unseal of such an object into LATCHKEY_SEALED_MAX bytes; the length as in section 5.2 of
     * 2.40. */
    CK_RV(*ForeignUnseal)
    (CK_SESSION_HANDLE hSession, LATCHKEY_TPM_KEY *pObject, CK_BYTE_PTR pData,
     CK_ULONG_PTR pulDataLen);

    /* Since 1.2. The way back (user logged in): fills in parent, pPublic and pPrivate, into
     * LATCHKEY_BLOB_MAX bytes each, with the key under the authorization pAuth, for programs that
     * know nothing of the token; its own key stays as it is. Lengths as in section 5.2 of 2.40.
     * CKR_KEY_NOT_WRAPPABLE: the key is not in the TPM; CKR_KEY_UNEXTRACTABLE: it bears a condition
     * that only the token holds to (CKA_ALWAYS_AUTHENTICATE, CKA_ALLOWED_MECHANISMS,
     * CKA_WRAP_WITH_TRUSTED); CKR_KEY_FUNCTION_NOT_PERMITTED: other programs do not find its
     * parent. */
    CK_RV(*KeyRelease)
    (CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hKey, LATCHKEY_TPM_KEY *pKey);
} LATCHKEY_ADMIN;

#endif
