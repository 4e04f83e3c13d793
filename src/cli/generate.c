/* `latchkey key generate`. */
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <string.h>
#include "key_lines.h"
#include "key_plan.h"
#include "module.h"
#include "object.h"
#include "verbs.h"

struct plan {
    struct key_plan key;
    CK_ULONG bits;
    uint8_t curve[32]; /* DER of the curve's OID */
    size_t curve_len;
};

static CK_RV plan_curve(const char *name, struct plan *ret)
{
    const char *only = ret->key.kind->curve;
    ASN1_OBJECT *oid = OBJ_nid2obj(only ? OBJ_sn2nid(only) : EC_curve_nist2nid(name));
    unsigned char *at = ret->curve;
    int n = oid ? i2d_ASN1_OBJECT(oid, NULL) : 0;
    if (n <= 0 || (size_t)n > sizeof(ret->curve) || OBJ_obj2nid(oid) == NID_undef)
        return fail(EXIT_USAGE, NULL, "'%s' is no curve: there are %s", name,
                    option_rows[OPT_CURVE].values);
    ret->curve_len = (size_t)i2d_ASN1_OBJECT(oid, &at);
    return CKR_OK;
}

static CK_RV plan_bits(const char *given, struct plan *ret)
{
    const struct key_kind *kind = ret->key.kind;
    char *end = NULL;
    ret->bits = given ? strtoul(given, &end, 10) : kind->bits.usual;
    if ((end && *end) || ret->bits < kind->bits.least || ret->bits > kind->bits.most ||
        ret->bits % kind->bits.step)
        return fail(EXIT_USAGE, NULL, "--bits of --type %s is %s, not '%s'", kind->name,
                    kind->bits.text, given);
    return CKR_OK;
}

static CK_RV plan_type(struct cli *cli, struct plan *ret)
{
    const char *bits = cli->option[OPT_BITS], *curve = cli->option[OPT_CURVE];
    ret->key.kind = key_kind_named(bits ? "rsa" : "ec");
    if (cli->option[OPT_TYPE])
        TRY(key_kind_option(cli, &ret->key.kind));
    if (curve && ret->key.kind->type != CKK_EC)
        return fail(EXIT_USAGE, NULL, "--curve goes with --type ec");
    if (bits && !ret->key.kind->bits.usual)
        return fail(EXIT_USAGE, NULL, "a key of --type %s has no --bits to choose",
                    ret->key.kind->name);
    return ret->key.kind->bits.usual ? plan_bits(bits, ret)
                                     : plan_curve(curve ? curve : "P-256", ret);
}

static CK_RV make_plan(struct cli *cli, struct plan *ret)
{
    TRY(key_plan_names(cli, NULL, &ret->key));
    TRY(plan_type(cli, ret));
    TRY(key_plan_usage(cli, &ret->key));
    if (cli->option[OPT_ALWAYS_AUTHENTICATE] && ret->key.kind->cls != CKO_PRIVATE_KEY)
        return fail(EXIT_USAGE, NULL, "--always-authenticate is for key pairs");
    return CKR_OK;
}

static CK_RV generate_pair(struct cli *cli, const struct plan *p, CK_OBJECT_HANDLE *ret)
{
    static const uint8_t f4[] = {1, 0, 1};
    struct template public = {0}, private = {0};
    CK_MECHANISM mechanism = {p->key.kind->generate, NULL, 0};
    CK_OBJECT_HANDLE public_handle = 0;
    key_plan_public(&p->key, &public);
    key_plan_private(&p->key, &private);
    if (p->bits) {
        template_add(&public, CKA_MODULUS_BITS, BYTES(&p->bits, sizeof(p->bits)));
        template_add(&public, CKA_PUBLIC_EXPONENT, BYTES_OF(f4));
    } else {
        template_add(&public, CKA_EC_PARAMS, BYTES(p->curve, p->curve_len));
    }
    return cli->module.p11->C_GenerateKeyPair(cli->token.session, &mechanism, public.attributes,
                                              public.n, private.attributes, private.n,
                                              &public_handle, ret);
}

/* PKCS#11 3.0 has a mechanism for each HMAC's keys; what has only the general one may take the type
 * from the template. */
static CK_RV generate_secret(struct cli *cli, const struct plan *p, CK_OBJECT_HANDLE *ret)
{
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    CK_MECHANISM_INFO info;
    CK_MECHANISM mechanism = {p->key.kind->generate, NULL, 0};
    CK_ULONG n = p->bits / 8;
    struct template t = {0};
    bool known = p11->C_GetMechanismInfo(cli->token.slot, mechanism.mechanism, &info) == CKR_OK;
    if (!known && p->key.kind->type != CKK_AES)
        mechanism.mechanism = CKM_GENERIC_SECRET_KEY_GEN;
    key_plan_secret(&p->key, &t);
    template_add(&t, CKA_VALUE_LEN, BYTES(&n, sizeof(n)));
    CK_RV rv = p11->C_GenerateKey(cli->token.session, &mechanism, t.attributes, t.n, ret);
    if (!known && rv == CKR_TEMPLATE_INCONSISTENT)
        return fail(EXIT_FAILED, "--type generic makes a key for every HMAC.",
                    "the module cannot make keys of --type %s", p->key.kind->name);
    return rv;
}

CK_RV key_generate(struct cli *cli)
{
    CLEANUP(object_free) struct object made = {0};
    struct plan plan = {0};
    CK_OBJECT_HANDLE handle = 0;
    TRY(make_plan(cli, &plan));
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(key_plan_check_free(cli, &plan.key));
    struct spinner *spinner = spinner_start("the TPM makes the key");
    CK_RV rv = plan.key.kind->cls == CKO_SECRET_KEY ? generate_secret(cli, &plan, &handle)
                                                    : generate_pair(cli, &plan, &handle);
    spinner_stop(&spinner);
    TRY(check(rv, "make the key"));
    TRY(object_read(cli, handle, &made));
    TRY(key_report(cli, &made));
    return cli->option[OPT_JSON] || made.cls == CKO_SECRET_KEY ? CKR_OK
                                                               : key_lines_print(cli, &made);
}
