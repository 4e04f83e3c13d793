/* Tokens, slots, and the order between TPM and store in C_InitToken. */
#include "support.h"

static void a_token_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_token_free) struct store_token t = token_for(1, 1), back = {0};
    t.user_pin_set = true;
    t.unattended = true;
    t.so.nv = 0; /* one seat sealed */
    buf_free(&t.so.nv_name);
    fill(&t.so.pub, "sealed public");
    fill(&t.so.priv, "sealed private");
    int64_t intent;
    OK(store_intent_begin(f->s, (uint32_t[]){t.user.nv, 0}, 2, &intent));
    OK(store_intent_commit(f->s, intent, &t));
    assert_int_equal(t.id, 1);
    assert_int_equal(t.generation, 1);
    OK(store_token_get(f->s, 1, &back));
    assert_int_equal(back.id, 1);
    assert_int_equal(back.slot, 1);
    assert_int_equal(back.generation, 1);
    assert_memory_equal(back.uid, t.uid, sizeof(t.uid));
    assert_string_equal(back.serial, t.serial);
    assert_true(back.user_pin_set && back.unattended);
    assert_int_equal(back.pin_rounds, 10000);
    assert_int_equal(back.parent, 0x81000001);
    assert_int_equal(back.user.nv, t.user.nv);
    assert_int_equal(back.so.nv, 0);
    assert_buf(&back.label, "label");
    assert_buf(&back.check, "check");
    assert_buf(&back.parent_name, "parent name");
    assert_buf(&back.parent_public, "parent public");
    assert_buf(&back.user.nv_name, "user name");
    assert_buf(&back.user.pub, "");
    assert_buf(&back.so.nv_name, "");
    assert_buf(&back.so.pub, "sealed public");
    assert_buf(&back.so.priv, "sealed private");
    OK(store_check(f->s));
}

static void a_limited_token_has_three_more_indices(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_token_free) struct store_token t = token_for(1, 1), back = {0};
    int64_t intent;
    bool known;
    limit_token(&t);
    OK(intent_for(f->s, &t, &intent));
    OK(store_intent_commit(f->s, intent, &t));
    OK(store_token_get(f->s, 1, &back));
    assert_int_equal(back.limit.tries, 5);
    for (unsigned i = 0; i < STORE_LIMIT_INDICES; i++) {
        assert_int_equal(back.limit.nv[i], t.limit.nv[i]);
        assert_int_equal(back.limit.name[i].n, t.limit.name[i].n);
        OK(store_nv_known(f->s, t.limit.nv[i], &known));
        assert_true(known);
    }
    /* again, without a limit: all five of the old are doomed */
    CLEANUP(store_token_free) struct store_token next = token_for(1, 1);
    next.id = 1;
    next.generation = 1;
    next.user.nv = 0x01800100;
    next.so.nv = 0x01800101;
    OK(intent_for(f->s, &next, &intent));
    OK(store_intent_commit(f->s, intent, &next));
    struct store_nv *list;
    size_t n;
    OK(store_nv_pending(f->s, 3600, &list, &n));
    assert_int_equal(n, 5);
    assert_buf(&list[2].name, "gate 0 name");
    assert_buf(&list[4].name, "pepper name");
    assert_int_equal(list[4].handle, t.limit.nv[2]);
    store_nv_free(&list, n);
    store_token_free(&back);
    back = (struct store_token){0};
    OK(store_token_get(f->s, 1, &back));
    assert_int_equal(back.limit.tries, 0);
    assert_int_equal(back.limit.nv[0], 0);
}

static void an_intent_without_one_of_its_indices_cannot_be_committed(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_token_free) struct store_token t = token_for(1, 1);
    int64_t intent;
    struct store_nv *list;
    size_t n;
    limit_token(&t);
    OK(intent_for(f->s, &t, &intent));
    OK(store_nv_pending(f->s, 0, &list, &n));
    assert_int_equal(n, 5);
    OK(store_nv_done(f->s, &list[3]));
    store_nv_free(&list, n);
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_FUNCTION_FAILED);
}

/* A store as version 1 had it. */
static void an_older_store_is_migrated_before_it_is_read(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_token(f->s, 1);
    OK(add_object(f->s, id, 1, NULL));
    store_close(&f->s);
    sql(f->path, "ALTER TABLE token DROP COLUMN max_pin_tries;"
                 "ALTER TABLE token DROP COLUMN gate_0_nv;"
                 "ALTER TABLE token DROP COLUMN gate_0_name;"
                 "ALTER TABLE token DROP COLUMN gate_1_nv;"
                 "ALTER TABLE token DROP COLUMN gate_1_name;"
                 "ALTER TABLE token DROP COLUMN pepper_nv;"
                 "ALTER TABLE token DROP COLUMN pepper_name;"
                 "PRAGMA user_version = 1");
    OK(store_open(f->dir, &f->s));
    CLEANUP(store_token_free) struct store_token t = {0};
    size_t n;
    OK(store_token_get(f->s, (CK_SLOT_ID)id, &t));
    assert_buf(&t.label, "label");
    assert_int_equal(t.limit.tries, 0);
    OK(store_objects_count(f->s, id, &n));
    assert_int_equal(n, 1);
    OK(store_check(f->s));
    assert_int_equal(add_token(f->s, 2), id + 1);
}

static void an_empty_label_and_handles_above_2_31(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_token_free) struct store_token t = token_for(1, 1), back = {0};
    buf_free(&t.label);
    t.parent = 0xFFFFFFFF;
    t.pin_rounds = 0xFFFFFFFF;
    int64_t intent;
    OK(store_intent_begin(f->s, (uint32_t[]){t.user.nv, t.so.nv}, 2, &intent));
    OK(store_intent_commit(f->s, intent, &t));
    OK(store_token_get(f->s, 1, &back));
    assert_int_equal(back.label.n, 0);
    assert_int_equal(back.parent, 0xFFFFFFFF);
    assert_int_equal(back.pin_rounds, 0xFFFFFFFF);
}

static void slots_are_listed_and_never_used_twice(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(add_token(f->s, i), i);
    CK_SLOT_ID slots[3];
    size_t n = 2;
    assert_int_equal(store_slots(f->s, slots, &n), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(n, 3);
    OK(store_token_delete(f->s, 3));
    OK(store_token_delete(f->s, 2));
    OK(store_slots(f->s, slots, &n));
    assert_int_equal(n, 1);
    assert_int_equal(slots[0], 1);
    CK_SLOT_ID next;
    OK(store_next_slot(f->s, &next));
    assert_int_equal(next, 4);
    struct store_token t;
    assert_int_equal(store_token_get(f->s, 3, &t), CKR_SLOT_ID_INVALID);
    assert_int_equal(store_token_get(f->s, (CK_SLOT_ID)-1, &t), CKR_SLOT_ID_INVALID);
    assert_int_equal(store_token_delete(f->s, 3), CKR_DEVICE_REMOVED);
    assert_int_equal(add_token(f->s, 5), 4);
}

static void a_slot_that_was_filled_meanwhile(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_token_free) struct store_token t = token_for(1, 1);
    int64_t intent;
    OK(store_intent_begin(f->s, (uint32_t[]){t.user.nv, t.so.nv}, 2, &intent));
    int64_t others = add_token(f->s, 2);
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_FUNCTION_FAILED);
    OK(store_token_delete(f->s, others));
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_FUNCTION_FAILED);
    bool known;
    OK(store_nv_known(f->s, t.user.nv, &known)); /* the intent is still there, to be undone */
    assert_true(known);
    assert_int_equal(t.id, 0);
}

static size_t pending(struct store *s, unsigned age, struct store_nv **list)
{
    size_t n;
    OK(store_nv_pending(s, age, list, &n));
    return n;
}

static size_t count_pending(struct store *s, unsigned age)
{
    struct store_nv *list;
    size_t n = pending(s, age, &list);
    store_nv_free(&list, n);
    return n;
}

static void an_intent_is_pending_until_its_last_handle_is_gone(void **state)
{
    struct fixture *f = *state;
    int64_t first, second;
    OK(store_intent_begin(f->s, (uint32_t[]){0x01800010, 0x01800011}, 2, &first));
    OK(store_intent_begin(f->s, (uint32_t[]){0x01800020, 0x01800021}, 2, &second));
    assert_true(first != second);
    assert_int_equal(count_pending(f->s, 3600), 0); /* young ones are left alone */
    struct store_nv *list;
    assert_int_equal(pending(f->s, 0, &list), 4);
    assert_true(list[0].intent && list[0].name.n == 0);
    assert_int_equal(list[0].handle, 0x01800010);
    assert_int_equal(list[1].handle, 0x01800011);
    OK(store_nv_done(f->s, &list[0]));
    assert_int_equal(count_pending(f->s, 0), 3);
    OK(store_nv_done(f->s, &list[1]));
    OK(store_nv_done(f->s, &list[1])); /* twice does no harm */
    store_nv_free(&list, 4);
    assert_int_equal(count_pending(f->s, 0), 2);
    OK(store_intent_drop(f->s, second));
    assert_int_equal(count_pending(f->s, 0), 0);
}

static void an_old_intent_shows_whichever_way_the_clock_went(void **state)
{
    struct fixture *f = *state;
    int64_t intent;
    OK(store_intent_begin(f->s, (uint32_t[]){0x01800010, 0x01800011}, 2, &intent));
    sql(f->path, "UPDATE nv SET made = made - 100");
    assert_int_equal(count_pending(f->s, 60), 2);
    assert_int_equal(count_pending(f->s, 600), 0);
    sql(f->path, "UPDATE nv SET made = made + 100000");
    assert_int_equal(count_pending(f->s, 60), 2);
}

static void a_handle_the_store_names_is_refused(void **state)
{
    struct fixture *f = *state;
    int64_t intent;
    add_token(f->s, 1);
    bool known;
    OK(store_nv_known(f->s, 0x01800002, &known));
    assert_true(known);
    OK(store_nv_known(f->s, 0x01800003, &known));
    assert_true(known);
    assert_int_equal(store_intent_begin(f->s, (uint32_t[]){0x01800010, 0x01800003}, 2, &intent),
                     CKR_FUNCTION_FAILED);
    assert_int_equal(count_pending(f->s, 0), 0); /* the first handle of it neither */
    OK(store_intent_begin(f->s, (uint32_t[]){0x01800010, 0x01800011}, 2, &intent));
    assert_int_equal(store_intent_begin(f->s, (uint32_t[]){0x01800010, 0x01800012}, 2, &intent),
                     CKR_FUNCTION_FAILED);
}

static void an_intent_that_another_process_ended_cannot_be_committed(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_token(f->s, 1);
    CLEANUP(store_token_free) struct store_token old = {0};
    OK(store_token_get(f->s, (CK_SLOT_ID)id, &old));
    CLEANUP(store_token_free) struct store_token t = token_for((CK_SLOT_ID)id, 1);
    t.id = id;
    t.generation = 1;
    t.user.nv = 0x01800100;
    t.so.nv = 0x01800101;
    int64_t intent;
    OK(store_intent_begin(f->s, (uint32_t[]){t.user.nv, t.so.nv}, 2, &intent));
    struct store_nv *list;
    assert_int_equal(pending(f->s, 0, &list), 2);
    OK(store_nv_done(f->s, &list[1]));
    store_nv_free(&list, 2);
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_FUNCTION_FAILED);
    CLEANUP(store_token_free) struct store_token now = {0};
    OK(store_token_get(f->s, (CK_SLOT_ID)id, &now));
    assert_int_equal(now.generation, 1);
    assert_int_equal(now.user.nv, old.user.nv);
    assert_int_equal(count_pending(f->s, 0), 1); /* the half intent; nothing was doomed */
}

static void initialising_again_dooms_the_old_and_deletes_its_objects(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_token(f->s, 1), other = add_token(f->s, 2);
    OK(add_object(f->s, id, 1, NULL));
    OK(add_object(f->s, other, 2, NULL));
    CLEANUP(store_token_free) struct store_token t = token_for((CK_SLOT_ID)id, 1);
    t.id = id;
    t.generation = 1;
    t.user.nv = 0x01800100;
    t.so.nv = 0x01800101;
    fill(&t.label, "second");
    int64_t intent;
    OK(store_intent_begin(f->s, (uint32_t[]){t.user.nv, t.so.nv}, 2, &intent));
    OK(store_intent_commit(f->s, intent, &t));
    assert_int_equal(t.id, id);
    assert_int_equal(t.generation, 2);

    CLEANUP(store_token_free) struct store_token now = {0};
    OK(store_token_get(f->s, (CK_SLOT_ID)id, &now));
    assert_int_equal(now.generation, 2);
    assert_int_equal(now.user.nv, 0x01800100);
    assert_buf(&now.label, "second");
    size_t n;
    OK(store_objects_count(f->s, id, &n));
    assert_int_equal(n, 0);
    OK(store_objects_count(f->s, other, &n));
    assert_int_equal(n, 1);

    struct store_nv *list;
    assert_int_equal(pending(f->s, 3600, &list), 2); /* doomed ones at once, at any age */
    assert_false(list[0].intent);
    assert_int_equal(list[0].handle, 0x01800002);
    assert_buf(&list[0].name, "user name");
    assert_int_equal(list[1].handle, 0x01800003);
    assert_buf(&list[1].name, "so name");
    store_nv_free(&list, 2);
    assert_int_equal(add_object(f->s, id, 3, NULL), CKR_DEVICE_REMOVED); /* a stale generation */
}

static void of_two_initialisations_one_wins(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_token(f->s, 1), intent[2];
    for (unsigned i = 0; i < 2; i++)
        OK(store_intent_begin(f->s, (uint32_t[]){0x01800100 + 2 * i, 0x01800101 + 2 * i}, 2,
                              &intent[i]));
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(store_token_free) struct store_token t = token_for((CK_SLOT_ID)id, 1);
        t.id = id;
        t.generation = 1;
        t.user.nv = 0x01800100 + 2 * i;
        t.so.nv = 0x01800101 + 2 * i;
        assert_int_equal(store_intent_commit(f->s, intent[i], &t),
                         i ? CKR_FUNCTION_FAILED : CKR_OK);
        assert_int_equal(t.generation, i ? 1 : 2);
    }
}

static void another_unique_id_is_another_token(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_token(f->s, 1), intent;
    CLEANUP(store_token_free) struct store_token t = token_for((CK_SLOT_ID)id, 9);
    t.id = id;
    t.generation = 1;
    OK(store_intent_begin(f->s, (uint32_t[]){t.user.nv, t.so.nv}, 2, &intent));
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_FUNCTION_FAILED);
}

static void a_sealed_token_needs_no_intent(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_token_free) struct store_token t = token_for(1, 1), back = {0};
    t.user.nv = t.so.nv = 0;
    int64_t intent = 7;
    OK(store_intent_begin(f->s, (uint32_t[]){0, 0}, 2, &intent));
    assert_int_equal(intent, 0);
    OK(store_intent_commit(f->s, intent, &t));
    struct store_seat seat = {0};
    fill(&seat.pub, "new public");
    fill(&seat.priv, "new private");
    OK(store_token_set_seat(f->s, t.id, true, &seat));
    OK(store_token_get(f->s, 1, &back));
    assert_buf(&back.so.priv, "new private");
    assert_buf(&back.user.priv, "");
    store_token_free(&back);
    back = (struct store_token){0};
    OK(store_token_set_seat(f->s, t.id, false, &seat));
    OK(store_token_get(f->s, 1, &back));
    assert_buf(&back.user.pub, "new public");
    buf_free(&seat.pub);
    buf_free(&seat.priv);
    OK(store_token_delete(f->s, t.id));
    assert_int_equal(count_pending(f->s, 0), 0); /* handle 0 is none */
}

static void the_user_pin_hint(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_token(f->s, 1);
    for (int set = 1; set >= 0; set--) {
        CLEANUP(store_token_free) struct store_token t = {0};
        OK(store_token_set_user_pin(f->s, id, set));
        OK(store_token_get(f->s, (CK_SLOT_ID)id, &t));
        assert_int_equal(t.user_pin_set, set);
    }
    assert_int_equal(store_token_set_user_pin(f->s, id + 1, true), CKR_DEVICE_REMOVED);
}

static void what_is_too_long_or_not_unique_is_not_written(void **state)
{
    struct fixture *f = *state;
    add_token(f->s, 1);
    int64_t intent;
    CLEANUP(store_token_free) struct store_token t = token_for(2, 2);
    OK(store_intent_begin(f->s, (uint32_t[]){t.user.nv, t.so.nv}, 2, &intent));
    fill(&t.label, "thirty-three bytes is one too many");
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_DEVICE_MEMORY);
    fill(&t.label, "fits");
    memset(t.uid, 1, sizeof(t.uid));
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_DEVICE_ERROR);
    memset(t.uid, 2, sizeof(t.uid));
    snprintf(t.serial, sizeof(t.serial), "%016x", 1);
    assert_int_equal(store_intent_commit(f->s, intent, &t), CKR_DEVICE_ERROR);
    snprintf(t.serial, sizeof(t.serial), "%016x", 2);
    OK(store_intent_commit(f->s, intent, &t)); /* the failures rolled back: the intent is whole */
}

static void deleting_a_token_dooms_its_indices(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_token(f->s, 1);
    OK(add_object(f->s, id, 1, NULL));
    OK(store_token_delete(f->s, id));
    assert_int_equal(count_pending(f->s, 3600), 2);
    size_t n;
    OK(store_objects_count(f->s, id, &n));
    assert_int_equal(n, 0);
    OK(store_check(f->s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_comes_back_as_it_was),
        TEST(a_limited_token_has_three_more_indices),
        TEST(an_intent_without_one_of_its_indices_cannot_be_committed),
        TEST(an_older_store_is_migrated_before_it_is_read),
        TEST(an_empty_label_and_handles_above_2_31),
        TEST(slots_are_listed_and_never_used_twice),
        TEST(a_slot_that_was_filled_meanwhile),
        TEST(an_intent_is_pending_until_its_last_handle_is_gone),
        TEST(an_old_intent_shows_whichever_way_the_clock_went),
        TEST(a_handle_the_store_names_is_refused),
        TEST(an_intent_that_another_process_ended_cannot_be_committed),
        TEST(initialising_again_dooms_the_old_and_deletes_its_objects),
        TEST(of_two_initialisations_one_wins),
        TEST(another_unique_id_is_another_token),
        TEST(a_sealed_token_needs_no_intent),
        TEST(the_user_pin_hint),
        TEST(what_is_too_long_or_not_unique_is_not_written),
        TEST(deleting_a_token_dooms_its_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
