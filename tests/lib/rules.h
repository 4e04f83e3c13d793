/* What holds of an object whatever was called before: PKCS#11 3.2, 4.1.2, 4.8 to 4.11. */
#ifndef TESTS_RULES_H
#define TESTS_RULES_H

#include "fixture.h"

/* Attributes that go one way only: 4.9, 4.10, footnotes 11, 12 and those of table 13. */
struct one_way {
    bool key; /* else the rest is nothing */
    bool sensitive, unextractable, wrap_with_trusted;
};

struct one_way one_way_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object);
/* Did a change or a copy lead back? */
bool went_back(struct one_way before, struct one_way after);
/* What is wrong with the object, NULL for nothing. An object or session that is not there breaks no
 * rule. */
const char *broken_rule(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object);

#endif
