/* What the command prints: tables and records for people, the same as JSON for scripts. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdio.h>
#include "cli.h"

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_RED, STYLE_YELLOW, STYLE_GREEN, STYLE_DIM };
/* The escape sequence, "" where f is no terminal or NO_COLOR is set. */
const char *style(FILE *f, enum style s);
/* Text that came from outside: control characters become '?', so no label drives the terminal. */
void print_clean(FILE *f, const char *text);

enum cell { CELL_TEXT, CELL_NUMBER, CELL_BOOL, CELL_LIST };

struct column {
    const char *key;   /* in JSON; NULL: for people only */
    const char *title; /* for people; NULL: in JSON only */
    enum cell type;
};

/* Rows of cells in the order of the columns. Zero-initialise but for the columns. */
struct table {
    const struct column *columns;
    size_t n_columns;
    char **cells;
    size_t n_cells;
    bool failed; /* memory ran out; the printing functions then answer CKR_HOST_MEMORY */
};

#define TABLE(cols) ((struct table){.columns = (cols), .n_columns = sizeof(cols) / sizeof(*(cols))})

void table_free(struct table *t);
/* The next cell. A list's items are separated by ','. table_none: no value (JSON null). */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_none(struct table *t);
void table_bool(struct table *t, bool value);
/* All rows: aligned columns, or a JSON array of objects. */
CK_RV table_print_list(const struct table *t, bool json);
/* The one row: a line a field, or a JSON object. */
CK_RV table_print_record(const struct table *t, bool json);

/* Turns on stderr while something slow runs; nothing where stderr is no terminal. */
struct spinner;
struct spinner *spinner_start(const char *text);
void spinner_stop(struct spinner **s);
/* The same with a bar that shows how much of total is done. progress_set accepts NULL. */
struct spinner *progress_start(const char *text, uint64_t total);
void progress_set(struct spinner *s, uint64_t done);

#endif
