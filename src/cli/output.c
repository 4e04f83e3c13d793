#include "output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *style(FILE *f, enum style s)
{
    static const char *const escapes[] = {"\033[0m",  "\033[1m",  "\033[31m",
                                          "\033[33m", "\033[32m", "\033[2m"};
    const char *no_color = getenv("NO_COLOR"); /* no-color.org: set and not empty */
    return isatty(fileno(f)) && !(no_color && *no_color) ? escapes[s] : "";
}

/* Takes one character from *at. Its code point, or -1 for a byte that is no UTF-8 (RFC 3629). */
static int32_t utf8_next(const unsigned char **at)
{
    static const struct {
        unsigned char mask, lead;
        int32_t least;
    } forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const unsigned char *s = *at;
    *at = s + 1;
    for (size_t more = 0; more < 4; more++) {
        if ((*s & forms[more].mask) != forms[more].lead)
            continue;
        int32_t point = *s & ~forms[more].mask;
        for (size_t i = 1; i <= more; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return -1;
            point = point << 6 | (s[i] & 0x3f);
        }
        if (point < forms[more].least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return -1;
        *at = s + more + 1;
        return point;
    }
    return -1;
}

void print_clean(FILE *f, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        const unsigned char *from = s;
        int32_t point = utf8_next(&s);
        bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        if (control && point != '\n')
            fputc('?', f);
        else
            fwrite(from, 1, (size_t)(s - from), f);
    }
}

static size_t columns_of(const char *text)
{
    size_t n = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s; n++)
        utf8_next(&s);
    return n;
}

static void json_string(const char *text)
{
    putchar('"');
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        const unsigned char *from = s;
        int32_t point = utf8_next(&s);
        if (point < 0)
            fputs("\\ufffd", stdout);
        else if (point == '"' || point == '\\')
            printf("\\%c", (char)point);
        else if (point < 0x20 || point == 0x7f)
            printf("\\u%04x", (unsigned)point);
        else
            fwrite(from, 1, (size_t)(s - from), stdout);
    }
    putchar('"');
}

static void json_list(char *items)
{
    putchar('[');
    char *rest = items;
    for (char *item = strtok_r(items, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        json_string(item);
        fputs(*rest ? ", " : "", stdout);
    }
    putchar(']');
}

static void json_cell(enum cell type, char *cell)
{
    if (!cell)
        fputs("null", stdout);
    else if (type == CELL_TEXT)
        json_string(cell);
    else if (type == CELL_LIST)
        json_list(cell);
    else
        fputs(type == CELL_NUMBER ? cell : strcmp(cell, "yes") ? "false" : "true", stdout);
}

static void json_object(const struct table *t, char **cells, const char *indent)
{
    const char *before = "{";
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i].key)
            continue;
        printf("%s\n%s  \"%s\": ", before, indent, t->columns[i].key);
        json_cell(t->columns[i].type, cells[i]);
        before = ",";
    }
    printf("\n%s}", indent);
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->n_cells = 0;
}

static void add(struct table *t, char *cell)
{
    char **grown = reallocarray(t->cells, t->n_cells + 1, sizeof(*grown));
    if (!grown) {
        t->failed = true;
        free(cell);
        return;
    }
    t->cells = grown;
    t->cells[t->n_cells++] = cell;
}

void table_cell(struct table *t, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0) {
        text = NULL;
        t->failed = true;
    }
    va_end(ap);
    add(t, text);
}

void table_none(struct table *t)
{
    add(t, NULL);
}

void table_bool(struct table *t, bool value)
{
    table_cell(t, "%s", value ? "yes" : "no");
}

static size_t width(const struct table *t, size_t column)
{
    size_t widest = columns_of(t->columns[column].title);
    for (size_t i = column; i < t->n_cells; i += t->n_columns) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): t->failed without room for cells */
        size_t n = t->cells[i] ? columns_of(t->cells[i]) : 0;
        widest = n > widest ? n : widest;
    }
    return widest;
}

/* A column without a single value says nothing. */
static bool shown(const struct table *t, size_t column)
{
    for (size_t i = column; t->columns[column].title && i < t->n_cells; i += t->n_columns)
        if (t->cells[i])
            return true;
    return false;
}

static void print_row(const struct table *t, char **cells)
{
    size_t pad = 0;
    for (size_t i = 0; i < t->n_columns; i++) {
        const char *text = cells ? cells[i] : t->columns[i].title;
        if (!shown(t, i))
            continue;
        printf("%*s", (int)pad, "");
        print_clean(stdout, text ? text : "-");
        pad = width(t, i) + 2 - columns_of(text ? text : "-");
    }
    putchar('\n');
}

CK_RV table_print_list(const struct table *t, bool json)
{
    if (t->failed)
        return CKR_HOST_MEMORY;
    if (!json && t->n_cells) {
        fputs(style(stdout, STYLE_BOLD), stdout);
        print_row(t, NULL);
        fputs(style(stdout, STYLE_PLAIN), stdout);
    }
    fputs(json ? "[" : "", stdout);
    for (size_t i = 0; i < t->n_cells; i += t->n_columns) {
        if (json) {
            fputs(i ? ",\n  " : "\n  ", stdout);
            json_object(t, t->cells + i, "  ");
        } else {
            print_row(t, t->cells + i);
        }
    }
    fputs(json ? "\n]\n" : "", stdout);
    return CKR_OK;
}

CK_RV table_print_record(const struct table *t, bool json)
{
    if (t->failed || t->n_cells < t->n_columns)
        return CKR_HOST_MEMORY;
    if (json) {
        json_object(t, t->cells, "");
        putchar('\n');
        return CKR_OK;
    }
    int widest = 0;
    for (size_t i = 0; i < t->n_columns; i++)
        if (t->columns[i].title && (int)strlen(t->columns[i].title) > widest)
            widest = (int)strlen(t->columns[i].title);
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i].title || !t->cells[i])
            continue;
        printf("%s%-*s%s  ", style(stdout, STYLE_BOLD), widest, t->columns[i].title,
               style(stdout, STYLE_PLAIN));
        print_clean(stdout, t->cells[i]);
        putchar('\n');
    }
    return CKR_OK;
}
