/* What the measurements share. */
#ifndef BENCH_H
#define BENCH_H

#include <latchkey/cryptoki.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

extern CK_FUNCTION_LIST *p11;
extern CK_BBOOL yes, no;

/* Ends the program when the call failed. */
void check(CK_RV rv, const char *what);
#define OK(call) check(call, #call)

struct series {
    double *us;
    size_t n;
};

double now_us(void);
struct series series_new(size_t rounds);
/* Prints and frees the series; its median. */
double report(const char *what, struct series *s);

#define MEASURE(series, statement)                                                                 \
    do {                                                                                           \
        double start_ = now_us();                                                                  \
        statement;                                                                                 \
        (series)->us[(series)->n++] = now_us() - start_;                                           \
    } while (0)

/* Turn and turn about, so that the machine's moods meet both; prints the two medians and their
 * ratio. */
#define BESIDE(rounds, what, statement, our_what, our_statement)                                   \
    do {                                                                                           \
        struct series theirs_ = series_new(rounds), ours_ = series_new(rounds);                    \
        for (int i_ = 0; i_ < 3; i_++) {                                                           \
            statement;                                                                             \
            our_statement;                                                                         \
        }                                                                                          \
        for (size_t i_ = 0; i_ < (rounds); i_++) {                                                 \
            MEASURE(&theirs_, statement);                                                          \
            MEASURE(&ours_, our_statement);                                                        \
        }                                                                                          \
        double t_ = report(what, &theirs_), o_ = report(our_what, &ours_);                         \
        printf("%-44s %10.2f\n", "ratio", o_ / t_);                                                \
    } while (0)

/* ---- the TPM by hand ---- */

#define EMPTY_PASSWORD 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0

uint32_t u32(const uint8_t *p);
void put_u32(uint8_t *p, size_t v);
/* The size field is filled in here. The response's length. */
size_t exchange(uint8_t *command, size_t n, uint8_t *response, size_t room);
void bare_flush(uint32_t key);

/* ---- what is measured ---- */

/* Symmetric keys in the TPM, beside the bare commands. */
void measure_tpm_keys(CK_SESSION_HANDLE session, size_t rounds);
/* Keys in software, beside libcrypto. */
void measure_software_keys(CK_SESSION_HANDLE session, size_t rounds);

#endif
