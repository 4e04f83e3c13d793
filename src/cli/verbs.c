#include "verbs.h"

#define O(name) (UINT64_C(1) << OPT_##name)

#define COMMON  (O(HELP) | O(MODULE))
#define PIN     (O(PIN_FILE) | O(PIN_FD) | O(PIN_ENV))
#define SO_PIN  (O(SO_PIN_FILE) | O(SO_PIN_FD) | O(SO_PIN_ENV))
#define NEW_PIN (O(NEW_PIN_FILE) | O(NEW_PIN_FD) | O(NEW_PIN_ENV))
#define TOKEN   (COMMON | O(TOKEN))

#define KEY_TYPES                                                                                  \
    "ec rsa ed25519 x25519 ed448 x448 aes generic hmac-sha1 hmac-sha224 hmac-sha256 hmac-sha384 "  \
    "hmac-sha512"

const struct option_row option_rows[OPTIONS] = {
    [OPT_HELP] = {"help", 'h', NULL, NULL, "say what the verb does and takes"},
    [OPT_MODULE] = {"module", 0, "FILE", NULL, "use this PKCS#11 module"},
    [OPT_JSON] = {"json", 0, NULL, NULL, "print JSON for scripts"},
    [OPT_TOKEN] = {"token", 0, "TOKEN", NULL, "the token, by label or pkcs11: URI"},
    [OPT_PIN_FILE] = {"pin-file", 0, "FILE", NULL, "read the user PIN from the file's first line"},
    [OPT_PIN_FD] = {"pin-fd", 0, "N", NULL, "read the user PIN from the open descriptor N"},
    [OPT_PIN_ENV] = {"pin-env", 0, "NAME", NULL, "take the user PIN from that variable"},
    [OPT_SO_PIN_FILE] = {"so-pin-file", 0, "FILE", NULL, "the SO PIN, from a file"},
    [OPT_SO_PIN_FD] = {"so-pin-fd", 0, "N", NULL, "the SO PIN, from a descriptor"},
    [OPT_SO_PIN_ENV] = {"so-pin-env", 0, "NAME", NULL, "the SO PIN, from a variable"},
    [OPT_NEW_PIN_FILE] = {"new-pin-file", 0, "FILE", NULL, "the new PIN, from a file"},
    [OPT_NEW_PIN_FD] = {"new-pin-fd", 0, "N", NULL, "the new PIN, from a descriptor"},
    [OPT_NEW_PIN_ENV] = {"new-pin-env", 0, "NAME", NULL, "the new PIN, from a variable"},
    [OPT_LABEL] = {"label", 0, "LABEL", NULL, "the label of what is made"},
    [OPT_ID] = {"id", 0, "HEX", NULL, "the ID (CKA_ID) of what is made"},
    [OPT_LOGIN] = {"login", 0, NULL, NULL, "log in first, to see private objects too"},
    [OPT_YES] = {"yes", 'y', NULL, NULL, "do not ask whether it is meant"},
    [OPT_FORCE] = {"force", 0, NULL, NULL, "do it without further proof"},
    [OPT_SO] = {"so", 0, NULL, NULL, "the SO PIN instead of the user PIN"},
    [OPT_UNATTENDED] = {"unattended", 0, NULL, NULL,
                        "for a machine that logs in by itself: a generated PIN, outside lockout"},
    [OPT_PIN_FILE_OUT] = {"pin-file-out", 0, "FILE", NULL, "the new file for the generated PIN"},
    [OPT_GENERATE_SO_PIN] = {"generate-so-pin", 0, "FILE", NULL,
                             "generate the SO PIN into this new file"},
    [OPT_MAX_PIN_TRIES] = {"max-pin-tries", 0, "N", "3 5 10 20",
                           "refuse the user PIN after N wrong ones (3 to 100)"},
    [OPT_TYPE] = {"type", 0, "TYPE", KEY_TYPES, "the type of key: ec (the default), rsa, aes, …"},
    [OPT_CURVE] = {"curve", 0, "CURVE", "P-256 P-384 P-521 P-224", "default P-256"},
    [OPT_BITS] = {"bits", 0, "N", "2048 3072 4096 128 192 256", "size of an RSA or a secret key"},
    [OPT_USAGE] = {"usage", 0, "LIST", "sign decrypt derive wrap sign,decrypt sign,derive",
                   "what the key may do: sign, decrypt, derive, wrap; the default suits the type"},
    [OPT_ALWAYS_AUTHENTICATE] = {"always-authenticate", 0, NULL, NULL,
                                 "the key wants the PIN again for each use"},
    [OPT_EXTRACTABLE] = {"extractable", 0, NULL, NULL, "the key may leave the token, wrapped"},
    [OPT_FORMAT] = {"format", 0, "FORM", "raw hex pem der ssh spki",
                    "of a secret key raw or hex, of a public key pem, der or ssh"},
    [OPT_TSS2] = {"tss2", 0, NULL, NULL, "the key itself, wrapped by the TPM, for other programs"},
    [OPT_PASSWORD_FILE] = {"password-file", 0, "FILE", NULL,
                           "the password of what comes in, or goes out with --tss2"},
    [OPT_NO_CERTIFICATES] = {"no-certificates", 0, NULL, NULL,
                             "leave the certificates of a PKCS#12 file out"},
    [OPT_HANDLE] = {"handle", 0, "HANDLE", NULL, "a key that is persistent in the TPM, 0x81…"},
    [OPT_WITH] = {"with", 0, "KEY", NULL, "the key that wraps or unwraps"},
    [OPT_MECHANISM] = {"mechanism", 0, "NAME",
                       "rsa-pkcs-sha256 rsa-pkcs-sha384 rsa-pkcs-sha512 rsa-pss-sha256 "
                       "rsa-pss-sha384 rsa-pss-sha512 ecdsa-sha256 ecdsa-sha384 ecdsa-sha512 eddsa "
                       "hmac-sha1 hmac-sha224 hmac-sha256 hmac-sha384 hmac-sha512 aes-cmac aes-gcm "
                       "aes-cbc-pad rsa-oaep rsa-oaep-sha1 rsa-pkcs aes-kwp aes-key-wrap-pad "
                       "aes-key-wrap rsa-aes",
                       "how; the default suits the key, latchkey(1) lists them"},
    [OPT_SIGNATURE] = {"signature", 0, "FILE", NULL, "the file that holds the signature"},
    [OPT_SUBJECT] = {"subject", 0, "NAME", NULL, "/CN=…/O=… or CN=…,O=…"},
    [OPT_SAN] = {"san", 0, "LIST", NULL, "subject alternative names: DNS:…,IP:…"},
    [OPT_OUT] = {"out", 'o', "FILE", NULL, "write there instead of to standard output"},
    [OPT_DER] = {"der", 0, NULL, NULL, "DER instead of PEM, or of r and s side by side (ECDSA)"},
    [OPT_REPLACE] = {"replace", 0, NULL, NULL, "take the place of the one that is there"},
    [OPT_RECOVERY_FILE] = {"recovery-file", 0, "FILE", NULL, "the file of the recovery code"},
    [OPT_OLD_RECOVERY_FILE] = {"old-recovery-file", 0, "FILE", NULL,
                               "the file of the code that is in force now"},
    [OPT_MAX_TRIES] = {"max-tries", 0, "N", NULL, "wrong PINs before lockout, default 32"},
    [OPT_RECOVERY_TIME] = {"recovery-time", 0, "SECONDS", NULL,
                           "after which one wrong PIN is forgiven, default 600"},
    [OPT_LOCKOUT_RECOVERY] = {"lockout-recovery", 0, "SECONDS", NULL,
                              "wait after a wrong recovery code, default 86400"},
    [OPT_SOCKET] = {"socket", 'a', "PATH", NULL, "where the agent listens"},
    [OPT_FOREGROUND] = {"foreground", 'D', NULL, NULL, "do not go to the background"},
    [OPT_KILL] = {"kill", 'k', NULL, NULL, "end the agent of SSH_AUTH_SOCK and SSH_AGENT_PID"},
    [OPT_DRY_RUN] = {"dry-run", 'n', NULL, NULL, "show what would be done, and do nothing"},
    [OPT_REMOVE] = {"remove", 0, NULL, NULL, "undo it"},
    [OPT_CLASS] = {"class", 0, "CLASS", "private public cert secret-key data",
                   "private (the default for a key pair), public, cert, secret-key or data"},
};

const char *const exit_texts[EXIT_CODES] = {
    [EXIT_OK] = "done",
    [EXIT_FAILED] = "it failed, a signature does not fit, or the doctor found a problem",
    [EXIT_USAGE] = "the command line is wrong, or a PIN is missing",
    [EXIT_NOT_FOUND] = "no such token, object or file; the simulator is stopped",
    [EXIT_PIN_WRONG] = "the PIN, password or recovery code is wrong",
    [EXIT_PIN_IS_LOCKED] = "the TPM is in lockout, or the token is out of tries",
    [EXIT_NO_TPM] = "no TPM, or it failed",
    [EXIT_AMBIGUOUS] = "the name fits several, or is taken",
    [EXIT_NO_MODULE] = "the module cannot be used, or lacks what is asked",
};

const struct verb verbs[] = {
    {"token create", "", 0, 0,
     COMMON | PIN | SO_PIN | O(JSON) | O(LABEL) | O(UNATTENDED) | O(PIN_FILE_OUT) |
         O(GENERATE_SO_PIN) | O(MAX_PIN_TRIES),
     "make a token: set its SO PIN and its user PIN",
     "The SO PIN gives the token a new user PIN when that one is forgotten; keep it apart.\n"
     "With --unattended the user PIN is 155 random bits in a file that only you can read, and\n"
     "wrong PINs are not counted: a power cut at the wrong moment locks nothing out.\n"
     "With --max-pin-tries the token has a count of its own, and wrong PINs lock it alone;\n"
     "token reset-pin opens it again.",
     token_create},
    {"token list", "", 0, 0, COMMON | O(JSON), "list the tokens", NULL, token_list},
    {"token show", "[TOKEN]", 0, 1, TOKEN | O(JSON), "show all that is known of a token", NULL,
     token_show},
    {"token destroy", "[TOKEN]", 0, 1, TOKEN | SO_PIN | O(YES) | O(FORCE),
     "delete a token with all its keys, for good",
     "Asks for the SO PIN, and for the token's label to be typed unless --yes is given.\n"
     "--force does without the SO PIN: whoever can delete the store can lose the keys anyway.",
     token_destroy},
    {"token pin", "[TOKEN]", 0, 1, TOKEN | PIN | SO_PIN | NEW_PIN | O(SO),
     "change the user PIN, or the SO PIN with --so", "The old PIN is worthless from then on.",
     token_pin},
    {"token reset-pin", "[TOKEN]", 0, 1, TOKEN | SO_PIN | NEW_PIN,
     "set a new user PIN with the SO PIN", NULL, token_reset_pin},
    {"key generate", "", 0, 0,
     TOKEN | PIN | O(JSON) | O(LABEL) | O(ID) | O(TYPE) | O(CURVE) | O(BITS) | O(USAGE) |
         O(ALWAYS_AUTHENTICATE) | O(EXTRACTABLE),
     "make a key in the TPM",
     "A key pair (ec, rsa, ed25519, x25519, ed448, x448), after which the lines to paste for\n"
     "the programs that can use it are printed; or a secret key (aes, generic, hmac-…).",
     key_generate},
    {"key import", "[FILE]", 0, 1,
     TOKEN | PIN | O(HANDLE) | O(JSON) | O(LABEL) | O(ID) | O(TYPE) | O(FORMAT) | O(USAGE) |
         O(EXTRACTABLE) | O(ALWAYS_AUTHENTICATE) | O(PASSWORD_FILE) | O(NO_CERTIFICATES) | O(FORCE),
     "store a key from a file",
     "PKCS#8, RSA or EC PRIVATE KEY, PUBLIC KEY, in PEM or DER; PKCS#12 with its certificates;\n"
     "BIND's .private; the bytes of a secret key with --type. FILE - is standard input.\n"
     "All of it is stored, or nothing.\n"
     "TSS2 PRIVATE KEY files and, with --handle, persistent keys are keys of this TPM: the token\n"
     "gets the same key, and the program that made it keeps its own.\n"
     "A key that is there already is imported again with --force only.",
     key_import},
    {"key export", "KEY", 1, 1,
     TOKEN | PIN | O(LOGIN) | O(FORMAT) | O(OUT) | O(TSS2) | O(PASSWORD_FILE),
     "print the public key",
     "In PEM, DER or as a line for OpenSSH's authorized_keys.\n"
     "With --tss2 a TSS2 PRIVATE KEY file: the key as this TPM has wrapped it, under a password "
     "of\n"
     "its own, for tpm2-openssl, tpm2-tools and ssh-tpm-agent on this machine. It works without "
     "the\n"
     "token's PIN, and goes on when the key or the token is deleted here.",
     key_export},
    {"key list", "", 0, 0, TOKEN | PIN | O(JSON) | O(LOGIN), "list the keys", NULL, key_list},
    {"key show", "KEY", 1, 1, TOKEN | PIN | O(JSON) | O(LOGIN), "show all that is known of a key",
     NULL, key_show},
    {"key delete", "KEY", 1, 1, TOKEN | PIN | O(YES), "delete a key pair, for good", NULL,
     key_delete},
    {"key csr", "KEY", 1, 1, TOKEN | PIN | O(SUBJECT) | O(SAN) | O(OUT),
     "make a certificate request (PKCS#10, PEM) signed by the key",
     "/CN=…/O=… keeps the order written; CN=…,O=… is RFC 4514, the last part comes first.",
     key_csr},
    {"key wrap", "KEY", 1, 1, TOKEN | PIN | O(WITH) | O(MECHANISM) | O(OUT),
     "take an extractable key out, encrypted under another key",
     "Both are named on one token; the other key must have been made with --usage wrap.", key_wrap},
    {"key unwrap", "FILE", 1, 1,
     TOKEN | PIN | O(JSON) | O(WITH) | O(MECHANISM) | O(TYPE) | O(LABEL) | O(ID) | O(USAGE) |
         O(EXTRACTABLE) | O(ALWAYS_AUTHENTICATE),
     "store a key that was wrapped",
     "--type, and the --mechanism it was wrapped with, are not in the "
     "file.",
     key_unwrap},
    {"cert import", "FILE", 1, 1, TOKEN | PIN | O(LABEL) | O(ID) | O(REPLACE),
     "store a certificate (PEM or DER) beside its key",
     "The key is found by its public key; the certificate takes its ID and label.\n"
     "A certificate without a key here, an issuer's say, needs --id or --label. FILE - is standard "
     "input.",
     cert_import},
    {"cert export", "CERT", 1, 1, TOKEN | O(OUT) | O(DER), "print a certificate", NULL,
     cert_export},
    {"cert delete", "CERT", 1, 1, TOKEN | PIN | O(YES), "delete a certificate", NULL, cert_delete},
    {"object list", "", 0, 0, TOKEN | PIN | O(JSON) | O(LOGIN), "list the objects of every kind",
     NULL, object_list},
    {"uri", "[NAME]", 0, 1, TOKEN | PIN | O(LOGIN) | O(CLASS),
     "print the pkcs11: URI of a key, a certificate, or of all tokens",
     "With --pin-file the URI says where the PIN is: pin-source=/…", object_uri},
    {"example", "[PROGRAM KEY]", 0, 2, TOKEN | O(PIN_FILE) | O(OUT),
     "print a configuration for a program that is to use the key",
     "Without arguments: the programs. With --pin-file the configuration names that file.",
     example},
    {"module", "", 0, 0, COMMON, "print the path of the module", NULL, show_module},
    {"setup", "[PROGRAM...]", 0, 8, COMMON | O(JSON) | O(DRY_RUN) | O(REMOVE) | O(YES),
     "tell the programs of this machine of the module",
     "p11-kit, OpenSSL, NSS (Chromium, Firefox's profiles), Firefox's policy, ssh: those that are\n"
     "there, or those named. As root for the system, else for the user. Shows what it will do and\n"
     "asks; a file that it could not give back as it was is left alone.",
     setup},
    {"encrypt", "KEY [FILE]", 1, 2, TOKEN | PIN | O(LOGIN) | O(MECHANISM) | O(OUT),
     "encrypt a file of any size",
     "With an AES key: AES-GCM. With an RSA key, which needs no PIN: one short block.\n"
     "Without FILE, or with -, standard input.",
     file_encrypt},
    {"decrypt", "KEY [FILE]", 1, 2, TOKEN | PIN | O(MECHANISM) | O(OUT),
     "decrypt what encrypt made",
     "With --out a file is there when all of it was found unchanged, and not before.",
     file_decrypt},
    {"sign", "KEY [FILE]", 1, 2, TOKEN | PIN | O(MECHANISM) | O(DER) | O(OUT),
     "sign a file of any size", "With a secret key: its MAC (HMAC, AES-CMAC).", file_sign},
    {"verify", "KEY [FILE]", 1, 2, TOKEN | PIN | O(LOGIN) | O(SIGNATURE) | O(MECHANISM) | O(DER),
     "does the signature fit the file and the key", "A secret key needs --login.", file_verify},
    {"secret put", "NAME [FILE]", 1, 2, TOKEN | PIN | O(REPLACE),
     "store a password or another secret",
     "From FILE or standard input, or typed where that is a terminal.", secret_put},
    {"secret get", "NAME", 1, 1, TOKEN | PIN | O(OUT), "print a secret", NULL, secret_get},
    {"secret list", "", 0, 0, TOKEN | PIN | O(JSON), "list the names of the secrets", NULL,
     secret_list},
    {"secret delete", "NAME", 1, 1, TOKEN | PIN | O(YES), "delete a secret, for good", NULL,
     secret_delete},
    {"ssh-agent", "[COMMAND...]", 0, A_COMMAND, TOKEN | PIN | O(SOCKET) | O(FOREGROUND) | O(KILL),
     "be ssh's agent, with the keys of the token",
     "Asks for the PIN, prints the lines that tell a shell of it and goes to the background:\n"
     "eval \"$(latchkey ssh-agent)\". With COMMAND it serves that, and ends with it.\n"
     "Ed25519, P-256, P-384, P-521 and RSA keys; new ones are seen without a new start.",
     ssh_agent},
    {"migrate softhsm", "[STORE]", 0, 1, COMMON | PIN | NEW_PIN | SO_PIN | O(JSON) | O(LABEL),
     "bring tokens over from SoftHSM",
     "All its tokens, or the one of --label: keys, certificates, labels, IDs, what they may do. "
     "The\n"
     "keys go into the TPM where it has room for their kind. Asks for the old user PIN, which\n"
     "becomes the new one unless --new-pin-file gives another, and for a new SO PIN. STORE is the\n"
     "directory of the tokens. It is only read; a token that does not come over whole is not made.",
     migrate_softhsm},
    {"migrate tpm2-pkcs11", "[STORE]", 0, 1, COMMON | PIN | NEW_PIN | SO_PIN | O(JSON) | O(LABEL),
     "bring tokens over from a store of tpm2-pkcs11",
     "All its tokens, or the one of --label, with their keys (the same keys of this TPM, so\n"
     "certificates go on fitting), certificates, labels and IDs. Asks for the old user PIN, which\n"
     "becomes the new one unless --new-pin-file gives another, and for a new SO PIN. The old store "
     "is\n"
     "only read; a token that does not come over whole is not made.",
     migrate_tpm2_pkcs11},
    {"tpm status", "", 0, 0, COMMON | O(JSON), "show the TPM and its count of wrong PINs", NULL,
     tpm_status},
    {"tpm harden", "", 0, 0,
     COMMON | O(RECOVERY_FILE) | O(OLD_RECOVERY_FILE) | O(MAX_TRIES) | O(RECOVERY_TIME) |
         O(LOCKOUT_RECOVERY),
     "guard the TPM's count of wrong PINs with a recovery code",
     "Without it any program that reaches the TPM can reset the count and try PINs without end.\n"
     "The code is shown and typed back, or written to --recovery-file, before anything is "
     "changed.\n"
     "It becomes the TPM's lockout authorization.",
     tpm_harden},
    {"tpm unlock", "", 0, 0, COMMON | O(RECOVERY_FILE), "end a lockout with the recovery code",
     "A wrong code blocks every code for the TPM's lockout recovery time, a day as a rule.",
     tpm_unlock},
    {"tpm remove-index", "HANDLE", 1, 1, COMMON | O(FORCE),
     "remove an NV index that doctor calls an orphan",
     "Only with --force: the index may belong to a token in another user's store, whose keys would "
     "be lost.",
     tpm_remove_index},
    {"tpm simulate start", "", 0, 0, O(HELP) | O(JSON), "start a software TPM and use it",
     "For trying things out: its keys lie in files, it protects nothing.", simulate_start},
    {"tpm simulate stop", "", 0, 0, O(HELP) | O(JSON), "stop that software TPM",
     "Its state stays, and with it the keys; start finds them again.", simulate_stop},
    {"tpm simulate status", "", 0, 0, O(HELP) | O(JSON), "is it running, and where", NULL,
     simulate_status},
    {"doctor", "", 0, 0, COMMON | O(JSON),
     "find out what does not work, and the command that mends it", NULL, doctor},
    {"help", "[VERB]", 0, 3, O(HELP), "say what there is, or what a verb takes", NULL, help},
    {"version", "", 0, 0, COMMON, "print the versions of the command and the module", NULL,
     version},
    {"complete", "WORD...", 0, 64, 0, NULL, NULL, complete},
};

const size_t n_verbs = sizeof(verbs) / sizeof(*verbs);
