#include "setup_edit.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define OURS "# Made by 'latchkey setup'; 'latchkey setup --remove' deletes it.\n"

void content_free(struct content *c)
{
    buf_free(&c->text);
    *c = (struct content){0};
}

bool content_equal(const struct content *a, const struct content *b)
{
    return a->exists == b->exists &&
           (!a->exists || bytes_equal(buf_bytes(&a->text), buf_bytes(&b->text)));
}

static CK_RV put(struct content *c, const char *text, size_t n)
{
    c->exists = true;
    return buf_append(&c->text, text, n);
}

static CK_RV put_text(struct content *c, const char *text)
{
    return put(c, text, strlen(text));
}

static CK_RV copy(const struct content *from, struct content *to)
{
    return from->exists ? put(to, (const char *)from->text.p, from->text.n) : CKR_OK;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Where text stands in c; NULL: nowhere. */
static const char *find(const struct content *c, const char *text)
{
    return c->text.n ? memmem(c->text.p, c->text.n, text, strlen(text)) : NULL;
}

/* c without the n bytes at the place at, and with text in their place. */
static CK_RV splice(const struct content *c, const char *at, size_t n, const char *text,
                    struct content *ret)
{
    const char *begin = (const char *)c->text.p, *end = begin + c->text.n;
    TRY(put(ret, begin, (size_t)(at - begin)));
    TRY(put_text(ret, text));
    return put(ret, at + n, (size_t)(end - at) - n);
}

/* ---- a whole file of ours ---- */

static CK_RV edit_own_file(const struct content *before, const char *text, bool remove,
                           struct content *after, const char **ret_refusal)
{
    bool ours = before->exists && find(before, OURS) == (const char *)before->text.p;
    if (before->exists && !ours) {
        *ret_refusal = remove ? NULL : "a file that latchkey has not made is there";
        return copy(before, after);
    }
    if (remove)
        return CKR_OK;
    TRY(put_text(after, OURS));
    return put_text(after, text);
}

/* ---- a block at the end of a file ---- */

#define BLOCK_BEGIN            "# latchkey setup: begin"
#define BLOCK_AFTER_NO_NEWLINE BLOCK_BEGIN ", behind a line without an end\n"
#define BLOCK_OF_NEW_FILE      BLOCK_BEGIN ", of a new file\n"
#define BLOCK_END              "# latchkey setup: end\n"

static CK_RV without_block(const struct content *before, struct content *ret,
                           const char **ret_refusal)
{
    const char *begin = find(before, BLOCK_BEGIN), *end = find(before, BLOCK_END);
    if (!begin && !end)
        return copy(before, ret);
    if (!begin || !end || end < begin) {
        *ret_refusal = "latchkey's lines in it have lost their first or last one";
        return copy(before, ret);
    }
    const char *after_end = end + strlen(BLOCK_END);
    bool new_file = starts(begin, BLOCK_OF_NEW_FILE);
    if (starts(begin, BLOCK_AFTER_NO_NEWLINE))
        begin--;
    TRY(splice(before, begin, (size_t)(after_end - begin), "", ret));
    ret->exists = ret->text.n || !new_file;
    return CKR_OK;
}

static CK_RV edit_block(const struct content *before, const char *text, bool remove,
                        struct content *after, const char **ret_refusal)
{
    TRY(without_block(before, after, ret_refusal));
    if (remove || *ret_refusal)
        return CKR_OK;
    bool cut = after->text.n && after->text.p[after->text.n - 1] != '\n';
    TRY(put_text(after, !after->exists ? BLOCK_OF_NEW_FILE
                        : cut          ? "\n" BLOCK_AFTER_NO_NEWLINE
                                       : BLOCK_BEGIN "\n"));
    TRY(put_text(after, text));
    return put_text(after, BLOCK_END);
}

/* ---- Firefox's policies.json ----
 * JSON is YAML's flow style; the parser says at which byte a node begins. */

#define POLICY_NAME "latchkey"

static const yaml_node_t *member(yaml_document_t *d, const yaml_node_t *map, const char *name)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = yaml_document_get_node(d, p->key);
        if (key->type == YAML_SCALAR_NODE && !strcmp((char *)key->data.scalar.value, name))
            return yaml_document_get_node(d, p->value);
    }
    return NULL;
}

/* The innermost of the objects that lead to the module's entry, and how many were there;
 * POLICY_ADD: three, and the entry goes into an "Add" beside the "Delete" that is there, or Firefox
 * would not look at it. */
enum { POLICY_ADD = 4 };
struct policy {
    size_t depth;  /* 0: not even the outermost is an object */
    size_t inside; /* the byte behind the innermost one's brace */
    bool empty;    /* it has no members */
    bool entry;    /* the module's entry is there, which is that path: */
    char path[1024];
};

static void look(yaml_document_t *d, struct policy *ret)
{
    const char *const names[] = {"policies", "SecurityDevices", POLICY_NAME};
    const yaml_node_t *node = yaml_document_get_root_node(d);
    for (size_t i = 0; node && node->type == YAML_MAPPING_NODE && i < 3; i++) {
        ret->depth =
            i == 2 && member(d, node, "Delete") && !member(d, node, "Add") ? POLICY_ADD : i + 1;
        ret->inside = node->start_mark.index + 1;
        ret->empty = node->data.mapping.pairs.start == node->data.mapping.pairs.top;
        const yaml_node_t *add = i == 2 ? member(d, node, "Add") : NULL; /* the newer form */
        if (add) {
            ret->inside = add->start_mark.index + 1;
            ret->empty = add->data.mapping.pairs.start == add->data.mapping.pairs.top;
            node = add;
        }
        node = member(d, node, names[i]);
    }
    if (ret->depth >= 3 && node && node->type == YAML_SCALAR_NODE)
        ret->entry = snprintf(ret->path, sizeof(ret->path), "%s", node->data.scalar.value) <
                     (int)sizeof(ret->path);
}

/* yaml's index counts characters, not bytes. */
static size_t byte_of(const struct content *c, size_t character)
{
    size_t i = 0;
    while (i < c->text.n && (character || (c->text.p[i] & 0xC0) == 0x80))
        if ((c->text.p[i++] & 0xC0) != 0x80)
            character--;
    return i;
}

static bool policy_read(const struct content *c, struct policy *ret)
{
    yaml_parser_t parser;
    yaml_document_t document;
    *ret = (struct policy){0};
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, c->text.p, c->text.n);
    if (yaml_parser_load(&parser, &document)) {
        look(&document, ret);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    ret->inside = byte_of(c, ret->inside);
    return ret->depth && c->text.p[ret->inside - 1] == '{'; /* block style has no braces */
}

/* What is put into an object at depth 0 (a new file) to POLICY_ADD. Two spaces tell ours from
 * members that were there. */
static void policy_text(const char *path, size_t depth, char *out, size_t room)
{
    static const char *const around[][2] = {
        {"{\n  \"policies\": {\n    \"SecurityDevices\": {\n      ", "\n    }\n  }\n}\n"},
        {"\"policies\":  {\"SecurityDevices\":  {", "}}"},
        {"\"SecurityDevices\":  {", "}"},
        {"", ""},
        {"\"Add\":  {", "}"},
    };
    snprintf(out, room, "%s\"" POLICY_NAME "\":  \"%s\"%s", around[depth][0], path,
             around[depth][1]);
}

static CK_RV policy_add(const struct content *before, const struct policy *p, const char *path,
                        struct content *after)
{
    char text[2048];
    policy_text(path, p->depth, text, sizeof(text) - 2);
    if (!p->depth)
        return put_text(after, text);
    strcat(text, p->empty ? "" : ", ");
    return splice(before, (const char *)before->text.p + p->inside, 0, text, after);
}

static CK_RV policy_remove(const struct content *before, const struct policy *p,
                           struct content *after, const char **ret_refusal)
{
    char text[2048];
    policy_text(p->path, 0, text, sizeof(text));
    if (bytes_equal(buf_bytes(&before->text), BYTES_STR(text)))
        return CKR_OK;                                    /* the whole file was ours */
    static const size_t depths[] = {1, 2, POLICY_ADD, 3}; /* what holds another before it */
    for (size_t i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
        text[0] = '{';
        policy_text(p->path, depths[i], text + 1, sizeof(text) - 3);
        const char *at = find(before, text);
        size_t n = strlen(text + 1);
        if (at)
            return splice(before, at + 1, n + (starts(at + 1 + n, ", ") ? 2 : 0), "", after);
    }
    *ret_refusal = "latchkey's entry among the SecurityDevices was rewritten; take it out by hand";
    return copy(before, after);
}

static CK_RV edit_policy(const struct content *before, const char *path, bool remove,
                         struct content *after, const char **ret_refusal)
{
    struct policy p = {0};
    if (before->exists && !policy_read(before, &p))
        *ret_refusal = remove ? NULL : "it is no JSON object";
    else if (strpbrk(path, "\"\\") || strlen(path) >= sizeof(p.path))
        *ret_refusal = remove ? NULL : "the module's path does not fit into JSON as it is";
    else if (p.entry && remove)
        return policy_remove(before, &p, after, ret_refusal);
    else if (p.entry && strcmp(p.path, path) != 0)
        *ret_refusal = "it names another file as latchkey; latchkey setup --remove takes that out";
    else if (!p.entry && !remove)
        return policy_add(before, &p, path, after);
    return copy(before, after);
}

/* ---- all of them ---- */

static CK_RV (*const edits[])(const struct content *before, const char *text, bool remove,
                              struct content *after, const char **ret_refusal) = {
    [EDIT_OWN_FILE] = edit_own_file,
    [EDIT_BLOCK] = edit_block,
    [EDIT_POLICY] = edit_policy,
};

CK_RV edit(enum edit_kind kind, const struct content *before, const char *text, bool remove,
           struct content *after, const char **ret_refusal)
{
    CLEANUP(content_free) struct content original = {0}, undone = {0};
    const char *ignored = NULL;
    *ret_refusal = NULL;
    TRY(edits[kind](before, text, remove, after, ret_refusal));
    if (*ret_refusal || remove)
        return CKR_OK;
    /* what was there before, without what an earlier setup has put in */
    TRY(edits[kind](before, text, true, &original, &ignored));
    TRY(edits[kind](after, text, true, &undone, &ignored));
    if (!content_equal(&original, &undone))
        *ret_refusal = "a change could not be undone to the byte";
    return CKR_OK;
}
